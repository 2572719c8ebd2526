"""The pages for people, each part by itself."""

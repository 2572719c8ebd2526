"""The pages in a real browser; `./run browser` has what it takes."""

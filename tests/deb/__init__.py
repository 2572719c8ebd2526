"""The Debian package: what can be said of its files, and a journey through a booted machine."""

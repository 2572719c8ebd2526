"""An API gateway for Wikimedia Toolforge, built on Twisted."""

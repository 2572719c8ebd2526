"""What `./run` is made of; the standard library alone, and no part of the gateway."""

"""Evidence to identity: the built-in authenticators, and the door for others.

Sees no socket, no Request and no YAML.  Layer 3.
"""

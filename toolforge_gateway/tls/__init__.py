"""TLS towards clients and towards backends.

`server` and `client` are the two doors; `options` is what both say to OpenSSL,
`files` reads certificates and keys with all complaints at once, `verifier`
judges a client's certificate after the handshake by `facts` and `revocation`.
Layer 3: knows configuration values, never routes or identities.
"""

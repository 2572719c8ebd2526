"""The whole gateway between a raw client and a scripted backend.

Both ends are real TLS sockets on which the tests say, byte for byte, what goes
in and what must come out.
"""

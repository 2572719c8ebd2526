"""The grammar of HTTP/1.1 messages, for both sides: bytes in, values out.

Layer 1, pure: no reactor, no sockets, no clock.  Where RFC 9110 and RFC 9112
leave room for two readings of the same bytes, everything here refuses with
`errors.BadMessage`; nothing is ever repaired.  `docs/http.md` lists the rules.
"""

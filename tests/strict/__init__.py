"""Tables of raw bytes, sent through the whole gateway and judged at its backend.

Each case says what a client sends over a real TLS connection, and what must
come of it: the statuses, whether the connection goes on, and byte for byte
what reached the backend.  Their classes come from RFC 9110 and RFC 9112, and
from the public corpora that `docs/http.md` names; the cases are our own.
"""

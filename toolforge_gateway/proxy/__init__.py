"""Forwarding to backends.

`ReverseProxyResource` is a backend in the Resource tree; it starts a
`Forwarding` for each request, which borrows an `UpstreamConnection` from the
backend's `Pool`.  Nothing here knows who calls, beyond the fields it is
handed.  Layer 3.
"""

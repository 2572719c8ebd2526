"""Forwarding to backends.

`ReverseProxyResource` is a backend in the Resource tree; it starts a
`Forwarding` for each request, which borrows an `UpstreamConnection` from the
backend's `Pool`.  A `Pool` has an `Upstream` for each address (`AddressBook`
finds them, `Marks` says how each has fared, a `Lookout` tries those that are
spared), and `Places` that bound what is under way; a `Dialling` gets a
connection where none is kept.  Nothing here knows who calls, beyond the
fields it is handed.  Layer 3.
"""

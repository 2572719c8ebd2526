"""TLS between a socket and a protocol, in two ways behind one interface.

`direct` lets OpenSSL read and write the descriptor itself: fewer copies, fewer
calls, no exception on the way of an ordinary request.  `portable` is Twisted's
own TLS, for reactors and transports that `direct` cannot serve.  `choice`
knows which.  Layer 2.
"""

"""Talking with a running gateway over a Unix socket: reload, restart, explain, state.

What goes over it is AMP, as Twisted has it.  Who may open the socket's file may ask: it is the
gateway's own user, and root.  Layer 2: what is asked for is an interface here, `IControlled`.
"""

"""The transport at the bottom of a stack of wrappers.

TLS and the PROXY protocol are wrappers with a `transport` each; what is below
them all is the connection to the network.  Layer 1.
"""

from __future__ import annotations

from typing import Any


def wire(transport: Any) -> Any:
    """Return the lowest transport below `transport`, or itself."""
    while (lower := getattr(transport, "transport", None)) is not None:
        transport = lower
    return transport


def close_wire(transport: Any) -> None:
    """Close the connection once what was written is out, whatever the
    wrappers would still like to say or hear.

    No TLS close_notify is sent (RFC 8446 section 6.1), so that a peer can see
    that a body of open length did not come to its end.
    """
    transport.unregisterProducer()
    wire(transport).loseConnection()

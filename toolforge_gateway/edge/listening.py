"""From a listener's configuration to the factory that its port uses.

Admission -> PROXY protocol (where configured) -> TLS -> Server
"""

from __future__ import annotations

from twisted.internet.interfaces import (
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
)

from toolforge_gateway.config.values import Listener
from toolforge_gateway.edge.admission import Admission, Entrance
from toolforge_gateway.edge.proxy_protocol import ProxyProtocolFactory
from toolforge_gateway.edge.server import Server
from toolforge_gateway.transport.choice import Transports


def over_tls(
    server: Server,
    listener: Listener,
    creator: IOpenSSLServerConnectionCreator,
    transports: Transports,
    entrance: Entrance,
    clock: IReactorTime,
) -> IProtocolFactory:
    """Put everything before HTTP in front of a server."""
    proxied = listener.proxy_protocol is not None
    factory = transports.server(creator, server, untouched=not proxied)
    if listener.proxy_protocol is not None:
        factory = ProxyProtocolFactory(
            factory,
            listener.proxy_protocol,
            clock,
            server.timeouts.handshake,
            lambda: server.believes(listener),
        )
    return Admission(factory, entrance)

"""From a listener's configuration to the factory that its port uses.

    Admission -> PROXY protocol (where configured) -> TLS -> Server
"""

from __future__ import annotations

from twisted.internet.interfaces import (
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
)
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol

from toolforge_gateway.config.values import Listener
from toolforge_gateway.edge.admission import Admission, Turnstile
from toolforge_gateway.edge.proxy_protocol import ProxyProtocolFactory
from toolforge_gateway.edge.server import Server


def over_tls(
    server: Server,
    listener: Listener,
    creator: IOpenSSLServerConnectionCreator,
    turnstile: Turnstile,
    clock: IReactorTime,
) -> IProtocolFactory:
    """Put everything before HTTP in front of a server."""
    tls = TLSMemoryBIOFactory(creator, False, server)
    # Newer Twisteds would gather small writes for a turn of the reactor; ours
    # are gathered already, and a log line is to leave as it comes.
    tls.protocol = TLSMemoryBIOProtocol
    factory: IProtocolFactory = tls
    if listener.proxy_protocol is not None:
        factory = ProxyProtocolFactory(
            factory, listener.proxy_protocol, clock, server.timeouts.handshake
        )
    return Admission(factory, turnstile)

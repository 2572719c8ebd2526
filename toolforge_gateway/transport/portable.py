"""TLS by Twisted's memory BIOs: works with any reactor and transport."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import ITCPTransport
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from toolforge_gateway.transport.interfaces import ISecureTransport
from toolforge_gateway.transport.sockets import nothing_to_read


@implementer(ISecureTransport)
class PortableTLS(TLSMemoryBIOProtocol):
    """Twisted's TLS and the few things that it lacks.

    Newer Twisteds would gather small writes for a turn of the reactor; ours
    are gathered already, and a log line is to leave as it comes, so this is no
    `BufferingTLSTransport`.
    """

    def close_wire(self) -> None:
        """See `ISecureTransport`."""
        self.unregisterProducer()
        self._bottom().loseConnection()

    def close_now(self) -> None:
        """See `ISecureTransport`."""
        self.unregisterProducer()
        self.loseConnection()
        self._bottom().loseConnection()

    def is_quiet(self) -> bool:
        """See `ISecureTransport`."""
        bottom = self._bottom()
        return bool(bottom.connected) and nothing_to_read(bottom.getHandle())

    def pour(self, into: Any, most: int) -> int:
        """See `ISecureTransport`; all bytes go through memory here."""
        return 0

    def setTcpNoDelay(self, enabled: bool) -> None:
        """See `ITCPTransport`; a Unix socket is none."""
        transport: Any = self.transport
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(enabled)

    def _bottom(self) -> Any:
        """The connection to the network, below all wrappers."""
        transport: Any = self.transport
        while (lower := getattr(transport, "transport", None)) is not None:
            transport = lower
        return transport


class PortableFactory(TLSMemoryBIOFactory):
    """Makes `PortableTLS`; arguments as `TLSMemoryBIOFactory`."""

    protocol = PortableTLS
    noisy = False

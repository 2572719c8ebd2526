"""The PROXY protocol, versions 1 and 2, before TLS.

https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt; strict where that
document lets a receiver choose.  A trusted peer must send the header; the
bytes of any other peer go straight on to TLS, which takes no header for a
handshake, so nobody else can announce a client.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import attrs
from twisted.internet import address
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import WrappingFactory
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy

from toolforge_gateway.errors import GatewayError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

V1_LONGEST = 107
"""Bytes of a version 1 line, line end included (section 2.1)."""
V2_LONGEST = 4096
"""Bytes of a version 2 header.  HAProxy's own are below 600; the format would
allow 65551."""

_V1_START = b"PROXY "
_V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_FIXED = 16
_V2_ADDRESSES = {0x11: 4, 0x21: 16}
"""Family and transport (TCP over IPv4, over IPv6) and the bytes of an address."""

_V1_LINE = re.compile(
    rb"PROXY (?:UNKNOWN(?: [\x20-\x7e]*)?"
    rb"|(TCP[46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))\r\n"
)

_log = Logger()


class BadProxyHeader(GatewayError):
    """A trusted peer did not send a PROXY header that can be understood."""


@attrs.frozen
class Announcement:
    """What a header says."""

    client: tuple[Address, int] | None
    """Address and port; None: the peer speaks for itself (LOCAL, UNKNOWN)."""


class HeaderReader:
    """Reads one header, however it is cut into pieces; bounded."""

    def __init__(self) -> None:
        self.rest = b""
        """What follows the header, once it is complete."""
        self._data = b""

    def feed(self, data: bytes) -> Announcement | None:
        """Take more bytes; None while the header is not complete.

        :raise BadProxyHeader: as soon as it can be no header any more.
        """
        self._data += data
        if self._data[:1] == b"\r":
            return self._version_2()
        return self._version_1()

    def _version_1(self) -> Announcement | None:
        data = self._data
        if data[: len(_V1_START)] != _V1_START[: len(data)]:
            raise BadProxyHeader("no PROXY header")
        end = data.find(b"\n", 0, V1_LONGEST) + 1
        if not end:
            if len(data) >= V1_LONGEST:
                raise BadProxyHeader("a version 1 line without an end")
            return None
        match = _V1_LINE.fullmatch(data, 0, end)
        if match is None:
            raise BadProxyHeader("a version 1 line that is not well-formed")
        self.rest = data[end:]
        if match[1] is None:
            return Announcement(None)
        kind = IPv4Address if match[1] == b"TCP4" else IPv6Address
        try:
            source, _ = kind(match[2].decode()), kind(match[3].decode())
        except ValueError:
            raise BadProxyHeader("a version 1 line with a bad address") from None
        port = int(match[4])
        if port > 65535 or int(match[5]) > 65535:
            raise BadProxyHeader("a version 1 line with a bad port")
        return Announcement((unmapped(source), port))

    def _version_2(self) -> Announcement | None:
        data = self._data
        if data[: len(_V2_SIGNATURE)] != _V2_SIGNATURE[: len(data)]:
            raise BadProxyHeader("no PROXY header")
        if len(data) < _V2_FIXED:
            return None
        command, family = data[12], data[13]
        end = _V2_FIXED + int.from_bytes(data[14:16], "big")
        if command not in (0x20, 0x21):
            raise BadProxyHeader("a version or command that does not exist")
        if end > V2_LONGEST:
            raise BadProxyHeader("a version 2 header that is too long")
        if len(data) < end:
            return None
        self.rest = data[end:]
        if command == 0x20 or family == 0x00:
            return Announcement(None)
        size = _V2_ADDRESSES.get(family)
        if size is None:
            raise BadProxyHeader("a version 2 header of something else than TCP")
        if end < _V2_FIXED + 2 * size + 4:
            raise BadProxyHeader("a version 2 header that is too short for its addresses")
        source = ipaddress.ip_address(data[_V2_FIXED : _V2_FIXED + size])
        ports = _V2_FIXED + 2 * size
        return Announcement((unmapped(source), int.from_bytes(data[ports : ports + 2], "big")))


def unmapped(host: Address) -> Address:
    """An IPv4 address that an IPv6 socket shows as `::ffff:a.b.c.d`."""
    return getattr(host, "ipv4_mapped", None) or host


def address_of(peer: object) -> Address | None:
    """The IP address of a Twisted address; None where it has none."""
    return _read_address(getattr(peer, "host", ""))


@lru_cache(1024)
def _read_address(text: str) -> Address | None:
    """Remembered, since most connections come from where others came from."""
    try:
        return unmapped(ipaddress.ip_address(text))
    except ValueError:
        return None


class ProxyProtocolFactory(WrappingFactory):
    """Takes the PROXY header off the connections of trusted peers.

    Protocols of other peers are built by the wrapped factory and run without
    anything in between.

    :param wrapped: the factory of what speaks after the header: TLS.
    :param trusted: peers that must send the header.
    :param clock: for the deadline.
    :param timeout: seconds within which the header must be complete.
    :param believed: whether a header still counts when it is complete: a reload may have come.
    """

    noisy = False

    def __init__(
        self,
        wrapped: IProtocolFactory,
        trusted: Iterable[Network],
        clock: IReactorTime,
        timeout: float,
        believed: Callable[[], bool] = lambda: True,
    ):
        super().__init__(wrapped)
        self.believed = believed
        self.trusted = tuple(trusted)
        self.clock = clock
        self.timeout = timeout

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        """A protocol for one accepted connection."""
        host = address_of(addr)
        if host is None or not any(host in network for network in self.trusted):
            return self.wrappedFactory.buildProtocol(addr)
        return _ProxiedConnection(self)


class _ProxiedConnection(Protocol):
    """Reads the header, then stands aside."""

    def __init__(self, factory: ProxyProtocolFactory):
        self._factory = factory
        self._reader = HeaderReader()
        self._inner: IProtocol | None = None
        self._deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Start the deadline of the header."""
        self._deadline = self._factory.clock.callLater(self._factory.timeout, self._too_late)

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the header, and perhaps the first ones behind it."""
        if self._inner is not None or self._deadline is None:
            return
        try:
            announcement = self._reader.feed(data)
        except BadProxyHeader as error:
            _log.warn(
                "connection of {peer} ended: {error}", peer=self.transport.getPeer(), error=error
            )
            self._end()
            return
        if announcement is not None:
            if self._factory.believed():
                self._stand_aside(announcement)
            else:
                self._end()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone, before or after the header."""
        self._stop_deadline()
        if self._inner is not None:
            self._inner.connectionLost(reason)

    def _stand_aside(self, announcement: Announcement) -> None:
        self._stop_deadline()
        transport: Any = self.transport
        peer = transport.getPeer()
        if announcement.client is not None:
            peer = _as_twisted(*announcement.client)
            transport = _AnnouncedTransport(transport, peer)
        inner = self._factory.wrappedFactory.buildProtocol(peer)
        if inner is None:
            self.transport.abortConnection()
            return
        self._inner = inner
        # Shadows the method above: from here on nothing of ours is called.
        self.dataReceived = inner.dataReceived  # type: ignore[method-assign]
        inner.makeConnection(transport)
        if self._reader.rest:
            inner.dataReceived(self._reader.rest)

    def _too_late(self) -> None:
        self._deadline = None
        _log.warn("connection of {peer} ended: no PROXY header", peer=self.transport.getPeer())
        self._end()

    def _end(self) -> None:
        self._stop_deadline()
        self.transport.abortConnection()

    def _stop_deadline(self) -> None:
        deadline, self._deadline = self._deadline, None
        if deadline is not None:
            deadline.cancel()


def _as_twisted(host: Address, port: int) -> IAddress:
    kind = address.IPv4Address if isinstance(host, IPv4Address) else address.IPv6Address
    return kind("TCP", str(host), port)


class _AnnouncedTransport:
    """The transport itself in all but whom it calls its peer."""

    def __init__(self, transport: Any, peer: IAddress):
        self._transport = transport
        self._peer = peer
        # The two on the byte path are bound here, past `__getattr__`.
        self.write = transport.write
        self.writeSequence = transport.writeSequence
        directlyProvides(self, providedBy(transport))

    def getPeer(self) -> IAddress:
        """The announced client."""
        return self._peer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

"""The PROXY header: its grammar, and who may announce a client."""

from __future__ import annotations

import ipaddress
import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from toolforge_gateway.edge.proxy_protocol import (
    V1_LONGEST,
    V2_LONGEST,
    Announcement,
    BadProxyHeader,
    HeaderReader,
    ProxyProtocolFactory,
)

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"


def v2(command: int = 0x21, family: int = 0x11, body: bytes | None = None) -> bytes:
    """A version 2 header; its body is a TCP over IPv4 block by default."""
    if body is None:
        body = bytes([192, 0, 2, 1, 198, 51, 100, 2]) + struct.pack("!HH", 56324, 443)
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(body)) + body


V6_BODY = ipaddress.ip_address("2001:db8::1").packed * 2 + struct.pack("!HH", 7, 443)


def announced(host: str, port: int) -> Announcement:
    return Announcement((ipaddress.ip_address(host), port))


GOOD = [
    (V1, announced("192.0.2.1", 56324)),
    (b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", announced("2001:db8::1", 1)),
    (b"PROXY TCP6 ::ffff:192.0.2.9 ::1 1 2\r\n", announced("192.0.2.9", 1)),
    (b"PROXY UNKNOWN\r\n", Announcement(None)),
    (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", Announcement(None)),
    (v2(), announced("192.0.2.1", 56324)),
    (v2(body=v2()[16:] + b"\x04\x00\x03abc"), announced("192.0.2.1", 56324)),
    (v2(family=0x21, body=V6_BODY), announced("2001:db8::1", 7)),
    (v2(command=0x20), Announcement(None)),
    (v2(command=0x20, family=0, body=b""), Announcement(None)),
    (v2(family=0, body=b"whatever"), Announcement(None)),
    (v2(body=v2()[16:] + bytes(V2_LONGEST - 28)), announced("192.0.2.1", 56324)),
]

BAD = [
    b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01\x02\x00",
    b"PROXY\r\n",
    b"PROXY  TCP4 192.0.2.1 198.51.100.2 56324 443\r\n",
    b"proxy TCP4 192.0.2.1 198.51.100.2 56324 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 \r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 1\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 056324 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n",
    b"PROXY TCP4 192.0.2.256 198.51.100.2 1 443\r\n",
    b"PROXY TCP4 192.0.2.01 198.51.100.2 1 443\r\n",
    b"PROXY TCP4 2001:db8::1 ::1 1 443\r\n",
    b"PROXY TCP6 192.0.2.1 198.51.100.2 1 443\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 1 443\r\n",
    b"PROXY UDP4 192.0.2.1 198.51.100.2 1 443\r\n",
    b"PROXY UNKNOWNX\r\n",
    b"PROXY UNKNOWN \x00\r\n",
    b"PROXY UNKNOWN " + b"x" * V1_LONGEST,
    b"\r\n\r\n\x00\r\nQUIX\n",
    b"\r\nGET / HTTP/1.1\r\n",
    v2(command=0x11),
    v2(command=0x22),
    v2(command=0x31),
    v2(family=0x12),
    v2(family=0x31, body=bytes(216)),
    v2(body=bytes(11)),
    v2(family=0x21, body=bytes(35)),
    v2(body=bytes(V2_LONGEST - 15)),
]


class HeaderReaderTests(SynchronousTestCase):
    """The grammar."""

    def test_good_headers(self) -> None:
        """Each well-formed header says what it says, and leaves the rest."""
        for data, expected in GOOD:
            reader = HeaderReader()
            self.assertEqual(reader.feed(data + b"\x16rest"), expected, data)
            self.assertEqual(reader.rest, b"\x16rest", data)

    def test_byte_by_byte(self) -> None:
        """A header is the same when each byte comes alone, and is never early."""
        for data, expected in GOOD:
            reader = HeaderReader()
            for at in range(len(data) - 1):
                self.assertIsNone(reader.feed(data[at : at + 1]), data)
            self.assertEqual(reader.feed(data[-1:]), expected, data)

    def test_bad_headers(self) -> None:
        """Everything else is refused."""
        for data in BAD:
            self.assertRaises(BadProxyHeader, HeaderReader().feed, data)

    def test_bad_headers_byte_by_byte(self) -> None:
        """Everything else is refused in pieces as well."""
        for data in BAD:
            reader = HeaderReader()
            with self.assertRaises(BadProxyHeader, msg=data):
                for at in range(len(data)):
                    self.assertIsNone(reader.feed(data[at : at + 1]))

    @given(st.binary(max_size=200), st.integers(0, 200))
    def test_any_bytes(self, data: bytes, cut: int) -> None:
        """Any bytes, cut anywhere, read the same, and raise nothing else."""

        def read(*pieces: bytes) -> object:
            reader = HeaderReader()
            try:
                return [reader.feed(piece) for piece in pieces][-1], reader.rest
            except BadProxyHeader:
                return "bad"

        for prefix in (b"", SIGNATURE + b"\x21\x11", b"PROXY TCP4 "):
            whole = prefix + data
            first = read(whole[:cut])
            if first == "bad" or first[0] is not None:  # type: ignore[index]
                continue
            self.assertEqual(read(whole[:cut], whole[cut:]), read(whole))


class Inner(Protocol):
    """Records what reaches it."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.received.append(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.lost = True


class InnerFactory(Factory):
    """Builds `Inner`, or refuses, and records for whom."""

    noisy = False

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.built: list[Inner] = []
        self.refuse = False

    def buildProtocol(self, addr: object) -> Inner | None:  # type: ignore[override]
        self.asked.append(addr)
        if self.refuse:
            return None
        self.built.append(Inner())
        return self.built[-1]


@implementer(ITCPTransport)
class TCPTransport(StringTransport):
    """A transport in memory that says it is TCP."""


class ProxyProtocolFactoryTests(SynchronousTestCase):
    """Who must send the header, and what the inner protocol sees."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.inner = InnerFactory()
        self.factory = ProxyProtocolFactory(
            self.inner,
            [ipaddress.ip_network("192.0.2.7/32"), ipaddress.ip_network("2001:db8::/32")],
            self.clock,
            timeout=5,
        )

    def connect(self, host: str) -> tuple[Protocol, TCPTransport]:
        kind = address.IPv6Address if ":" in host else address.IPv4Address
        peer = kind("TCP", host, 1234)
        protocol = self.factory.buildProtocol(peer)
        transport = TCPTransport(peerAddress=peer)
        protocol.makeConnection(transport)
        return protocol, transport

    def test_trusted(self) -> None:
        """Behind a trusted peer the announced client is the peer of the rest."""
        protocol, _ = self.connect("192.0.2.7")
        protocol.dataReceived(V1 + b"\x16")
        protocol.dataReceived(b"more")
        (inner,) = self.inner.built
        self.assertEqual(inner.received, [b"\x16", b"more"])
        expected = address.IPv4Address("TCP", "192.0.2.1", 56324)
        self.assertEqual(inner.transport.getPeer(), expected)
        self.assertEqual(self.inner.asked, [expected])

    def test_transport(self) -> None:
        """The inner transport writes, closes and provides what the real one does."""
        protocol, transport = self.connect("192.0.2.7")
        protocol.dataReceived(V1)
        (inner,) = self.inner.built
        inner.transport.write(b"a")
        inner.transport.writeSequence([b"b", b"c"])
        self.assertEqual(transport.value(), b"abc")
        self.assertTrue(ITCPTransport.providedBy(inner.transport))
        inner.transport.loseConnection()
        self.assertTrue(transport.disconnecting)

    def test_local(self) -> None:
        """A peer that speaks for itself is itself the peer."""
        for header in (v2(command=0x20), b"PROXY UNKNOWN\r\n"):
            protocol, _ = self.connect("192.0.2.7")
            protocol.dataReceived(header)
            self.assertEqual(self.inner.built[-1].transport.getPeer().host, "192.0.2.7")

    def test_mapped_peer(self) -> None:
        """A trusted IPv4 peer on an IPv6 socket is trusted all the same."""
        protocol, _ = self.connect("::ffff:192.0.2.7")
        protocol.dataReceived(V1)
        self.assertEqual(self.inner.built[-1].transport.getPeer().host, "192.0.2.1")

    def test_trusted_without_header(self) -> None:
        """A trusted peer without the header is cut off, and stays unheard."""
        protocol, transport = self.connect("192.0.2.7")
        protocol.dataReceived(b"\x16\x03\x01")
        protocol.dataReceived(V1)
        self.assertTrue(transport.disconnected)
        self.assertEqual(self.inner.asked, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_untrusted_header(self) -> None:
        """The header of any other peer is data like any: it announces nobody."""
        protocol, _ = self.connect("192.0.2.8")
        protocol.dataReceived(V1)
        (inner,) = self.inner.built
        self.assertEqual(inner.received, [V1])
        self.assertEqual(inner.transport.getPeer().host, "192.0.2.8")
        self.assertIs(protocol, inner)

    def test_no_internet_address(self) -> None:
        """A peer without an IP address is no trusted one."""
        self.factory.buildProtocol(address.UNIXAddress("/run/x"))
        self.assertEqual(self.inner.asked, [address.UNIXAddress("/run/x")])

    def test_deadline(self) -> None:
        """A header that is not complete in time ends the connection."""
        protocol, transport = self.connect("2001:db8::7")
        self.clock.advance(4)
        protocol.dataReceived(V1[:-1])
        self.assertFalse(transport.disconnected)
        self.clock.advance(1)
        self.assertTrue(transport.disconnected)

    def test_deadline_met(self) -> None:
        """After the header no deadline is left."""
        protocol, _ = self.connect("192.0.2.7")
        protocol.dataReceived(V1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_inner_refuses(self) -> None:
        """A client that the inner factory does not want is cut off."""
        self.inner.refuse = True
        protocol, transport = self.connect("192.0.2.7")
        protocol.dataReceived(V1 + b"\x16")
        self.assertTrue(transport.disconnected)
        protocol.dataReceived(b"more")
        protocol.connectionLost(Failure(ConnectionDone()))

    def test_lost(self) -> None:
        """The end of the connection reaches the inner protocol once there is one."""
        protocol, _ = self.connect("192.0.2.7")
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        protocol, _ = self.connect("192.0.2.7")
        protocol.dataReceived(V1)
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertTrue(self.inner.built[-1].lost)

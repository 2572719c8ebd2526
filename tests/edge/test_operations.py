"""The operations port tells its secrets only to this machine."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.test.requesthelper import DummyRequest

from toolforge_gateway.edge.operations import OnThisMachine


class Secret(Resource):
    isLeaf = True

    def render(self, request: Any) -> bytes:
        return b"secret"


class FromHereTests(SynchronousTestCase):
    def answer(self, address: Any, *hosts: str) -> bytes:
        request = DummyRequest([b""])
        request.getClientAddress = lambda: address  # type: ignore[method-assign]
        if hosts:
            request.requestHeaders.setRawHeaders(b"host", [each.encode() for each in hosts])
        body: bytes = OnThisMachine(Secret()).render(request)
        self.assertEqual(request.responseCode, None if body == b"secret" else 403)
        return body

    def test_peers(self) -> None:
        """Only who connects from here; a Host field alone makes nobody local."""
        for address, expected in [
            (IPv4Address("TCP", "127.0.0.1", 1), True),
            (IPv4Address("TCP", "127.8.9.10", 1), True),
            (IPv6Address("TCP", "::1", 1), True),
            (IPv6Address("TCP", "::ffff:127.0.0.1", 1), True),
            (UNIXAddress("/run/x"), True),
            (UNIXAddress(None), True),
            (IPv4Address("TCP", "192.0.2.1", 1), False),
            (IPv6Address("TCP", "::ffff:192.0.2.1", 1), False),
            (IPv6Address("TCP", "fe80::1%lo", 1), False),
            (IPv4Address("TCP", "nonsense", 1), False),
            (None, False),
        ]:
            self.assertEqual(self.answer(address, "localhost") == b"secret", expected, address)

    def test_names(self) -> None:
        """Only one Host field with a name that cannot be pointed elsewhere."""
        here = IPv4Address("TCP", "127.0.0.1", 1)
        for hosts, expected in [
            (("localhost",), True),
            (("LocalHost:9090",), True),
            (("127.0.0.1:9090",), True),
            (("[::1]",), True),
            (("[::1]:9090",), True),
            (("::1",), False),
            (("localhost.",), False),
            (("localhost:",), False),
            (("localhost:x",), False),
            (("evil.example",), False),
            (("evil.example:9090",), False),
            (("127.0.0.1.evil.example",), False),
            (("localhost", "localhost"), False),
            (("",), False),
            ((), False),
        ]:
            self.assertEqual(self.answer(here, *hosts) == b"secret", expected, hosts)

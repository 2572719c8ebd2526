"""Names are looked up without keeping anybody from ending."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap

from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHostnameResolver, IHostResolution, IResolutionReceiver
from twisted.internet.task import Clock
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.coroutines import CoroutineCase
from toolforge_gateway import lookup
from toolforge_gateway.lookup import Resolution, ThreadedResolver


@implementer(IResolutionReceiver)
class Receiver:
    """Collects what a name stands for."""

    def __init__(self) -> None:
        self.found: list[object] = []
        self.done: Deferred = Deferred()

    def resolutionBegan(self, resolution: object) -> None:
        self.resolution = resolution

    def addressResolved(self, address: object) -> None:
        self.found.append(address)

    def resolutionComplete(self) -> None:
        self.done.callback(self.found)


class LookupTests(CoroutineCase):
    timeout = 20

    async def look(self, *arguments: object, ask: object = socket.getaddrinfo) -> list[object]:
        """What a name stands for."""
        receiver = Receiver()
        resolver = ThreadedResolver(reactor, ask)
        verifyObject(IHostnameResolver, resolver)
        resolver.resolveHostName(receiver, *arguments)
        verifyObject(IHostResolution, receiver.resolution)
        return await receiver.done

    async def test_both_families(self) -> None:
        """Addresses of both families come with the port; of one, if only that is wanted."""

        def ask(name: str, port: int, family: int, kind: int) -> list[object]:
            asked.append((name, port, family, kind))
            return [
                (socket.AF_INET6, kind, 6, "", ("2001:db8::1", port, 0, 0)),
                (socket.AF_INET, kind, 6, "", ("192.0.2.1", port)),
                (socket.AF_UNIX, kind, 0, "", ("nonsense",)),
            ]

        asked: list[object] = []
        found = await self.look("a.example", 443, ask=ask)
        self.assertEqual(
            found,
            [IPv6Address("TCP", "2001:db8::1", 443, 0, 0), IPv4Address("TCP", "192.0.2.1", 443)],
        )
        await self.look("a.example", 1, [IPv4Address], "UDP", ask=ask)
        self.assertEqual(
            asked,
            [
                ("a.example", 443, socket.AF_UNSPEC, socket.SOCK_STREAM),
                ("a.example", 1, socket.AF_INET, socket.SOCK_DGRAM),
            ],
        )

    async def test_system(self) -> None:
        """The system is asked."""
        self.assertIn(IPv4Address("TCP", "127.0.0.1", 443), await self.look("localhost", 443))

    async def test_no_address(self) -> None:
        """A name that the system does not know, or cannot even ask for, has no address."""
        for name in ("nobody.invalid", "a" * 64 + ".example", "a..b"):
            self.assertEqual(await self.look(name), [])

    async def test_no_answer_at_all(self) -> None:
        """Whatever goes wrong, who asked hears that there is no address: a look-up that breaks, or
        no thread for it."""

        def broken(*_: object) -> list[object]:
            raise MemoryError

        self.assertEqual(await self.look("a.example", ask=broken), [])

        def no_more(*_: object) -> None:
            raise RuntimeError("can't start new thread")

        self.patch(lookup.Thread, "start", no_more)
        self.assertEqual(await self.look("localhost"), [])

    def test_other_reactors(self) -> None:
        """A reactor that cannot be told is left alone."""
        lookup.install(Clock())
        Resolution("a").cancel()

    def test_end(self) -> None:
        """A process ends while a look-up is still under way."""
        program = """
            import threading
            from twisted.internet import reactor
            from toolforge_gateway import lookup
            from toolforge_gateway.proxy.addressbook import AddressBook
            from toolforge_gateway.config.backend import UpstreamAddress
            never = threading.Event()
            begun = threading.Event()
            def ask(*_):
                begun.set()
                never.wait()
            reactor.installNameResolver(lookup.ThreadedResolver(reactor, ask))
            book = AddressBook(reactor, "a", [UpstreamAddress("a.example", 1)], 30, print)
            reactor.callWhenRunning(book.look)
            reactor.callWhenRunning(lambda: (begun.wait(), reactor.stop()))
            reactor.run()
            print("ended", begun.is_set())
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            capture_output=True,
            timeout=15,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
        )
        self.assertEqual((done.stdout, done.stderr), (b"ended True\n", b""))

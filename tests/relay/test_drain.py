"""The end: load balancers are told, then nobody is let in, then what runs comes to its end."""

from __future__ import annotations

import socket
import ssl

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import formatEvent, globalLogPublisher

from tests.clients.stage import pki
from tests.relay import stage
from tests.relay.ends import OK, End
from tests.relay.stage import GET, Stage
from toolforge_gateway.transport.choice import Transports
from toolforge_gateway.transport.turns import Board, Turns

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


class Ending(Stage):
    timeouts = {"drain": 4}

    async def ask_operations(self, path: bytes) -> bytes:
        address = self.service.operations_address()
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", address.port)
        end = await endpoint.connect(Factory.forProtocol(End))
        end.send(b"GET " + path + b" HTTP/1.0\r\nHost: localhost\r\n\r\n")
        return await end.closed()


class WaitingTests(Ending):
    """Who has connected to a worker, and has not been accepted yet when the end begins."""

    timeouts = {"drain": 20}
    header = b""

    def setUp(self) -> None:
        board = Board()
        self.addCleanup(board.close)
        turns = Turns(board.descriptor, board.take())
        self.patch(stage, "chosen", lambda reactor: Transports(reactor, turns=turns))
        super().setUp()

    async def test_waits(self) -> None:
        """Nobody else is connected, and yet who waits is let in and answered."""
        waiting = socket.create_connection(("127.0.0.1", self.port))
        stopping = self.service.stopService()
        self.assertNoResult(stopping)
        answer = await deferToThread(self.asked, waiting)
        self.assertTrue(answer.endswith(b"\r\n\r\nok"), answer)
        self.assertIn(b"\r\nConnection: close\r\n", answer)
        await stopping
        self.assertEqual(len((self.folder / "access.log").read_text().splitlines()), 1)

    def asked(self, waiting: socket.socket) -> bytes:
        """What a program that waits for nobody else's turn gets."""
        waiting.settimeout(15)
        waiting.sendall(self.header)
        context = ssl.create_default_context(cafile=str(pki() / "server-ca.crt"))
        context.load_cert_chain(pki() / "tool-tf-test.crt", pki() / "tool-tf-test.key")
        with context.wrap_socket(waiting, server_hostname="localhost") as client:
            client.sendall(GET)
            answer = b""
            while data := client.recv(4096):
                answer += data
            return answer


class ProxiedWaitingTests(WaitingTests):
    """The same where a PROXY header comes first."""

    listener = {"proxy_protocol": {"trusted": ["127.0.0.1/32"]}}
    header = b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n"


class SilentTests(Ending):
    timeouts = {"drain": 0.5, "handshake": 600}
    listener = {"proxy_protocol": {"trusted": ["127.0.0.1/32"]}}

    async def test_nothing_comes(self) -> None:
        """One of whom no PROXY header comes does not hold up the end for longer than `drain`."""
        waiting = socket.create_connection(("127.0.0.1", self.port))
        self.addCleanup(waiting.close)
        stopping = self.service.stopService()
        self.assertNoResult(stopping)
        await stopping


class DrainTests(Ending):
    async def test_kept_connection(self) -> None:
        """Who asks on a kept connection right after the listeners have closed is answered, and
        told that it was the last answer."""
        client = await self.client()
        client.send(GET)
        await client.until(b"\r\n\r\nok")
        client.take()
        stopping = self.service.stopService()
        client.send(GET)
        answer = await client.closed()
        self.assertIn(b"\r\nConnection: close\r\n", answer)
        self.assertTrue(answer.endswith(b"\r\n\r\nok"))
        await stopping

    async def test_quiet_connection(self) -> None:
        """One that stays quiet is closed in good order, long before `drain`."""
        client = await self.client()
        client.send(GET)
        await client.until(b"\r\n\r\nok")
        client.take()
        stopping = self.service.stopService()
        self.assertEqual(await client.closed(), b"")
        await stopping

    async def test_running(self) -> None:
        """What runs is given `drain`, and ends whole when it is done by then."""
        client, upstream = await self.held()
        stopping = self.service.stopService()
        await deferLater(reactor, 1.5, lambda: None)
        upstream.send(OK)
        self.assertTrue((await client.closed()).endswith(b"\r\n\r\nok"))
        await stopping

    async def test_begun_before(self) -> None:
        """An answer that began before cannot say that it is the last: who asks right behind it is
        answered, and told."""
        client, upstream = await self.held()
        upstream.take()
        upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        self.assertNotIn(b"Connection: close", await client.until(b"ok\r\n"))
        stopping = self.service.stopService()
        upstream.send(b"0\r\n\r\n")
        await client.until(b"0\r\n\r\n")
        client.take()
        client.send(GET)
        await upstream.until(b"\r\n\r\n")
        upstream.send(OK)
        answer = await client.closed()
        self.assertIn(b"\r\nConnection: close\r\n", answer)
        self.assertTrue(answer.endswith(b"\r\n\r\nok"))
        await stopping

    async def test_last_line(self) -> None:
        """The client whose leaving ends it all is in the access log as well."""
        client, upstream = await self.held()
        stopping = self.service.stopService()
        client.transport.abortConnection()
        await stopping
        (line,) = self.log()
        self.assertEqual(line["reason"], "client-left")


class Late(Ending):
    timeouts = {"drain": 0.5}

    def setUp(self) -> None:
        super().setUp()
        self.events: list[str] = []
        observer = lambda event: self.events.append(formatEvent(event))  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    async def test_cut(self) -> None:
        """What is not over when `drain` is is cut: with its backend's request, and with a word in
        the access log that does not blame the client.  The gateway's log has the number."""
        client, upstream = await self.held()
        await self.service.stopService()
        await client.closed()
        await upstream.closed()
        (line,) = self.log()
        self.assertEqual((line["status"], line["reason"]), (0, "drain-timeout"))
        self.assertEqual(
            [event for event in self.events if "requests" in event],
            [
                "nobody is let in any more; requests under way: 1, with 0.5 s to end",
                "timeouts.drain is over; requests that are cut off: 1",
            ],
        )


class LameDuck(Ending):
    timeouts = {"drain": 4, "lame_duck": 1.5}

    async def test_lame_duck(self) -> None:
        """Load balancers are told at once; for `lame_duck` everything is served, new connections
        too; then nobody is let in.  The operations port lives to the end."""
        kept = await self.client(None)
        kept.send(HEALTH)
        await kept.until(b"\r\n\r\nok\n")
        kept.take()
        stopping = self.service.stopService()
        kept.send(HEALTH)
        self.assertIn(b"HTTP/1.1 503 Service Unavailable\r\n", await kept.until(b"draining\n"))
        fresh = await self.client()
        fresh.send(GET)
        answer = await fresh.until(b"\r\n\r\nok")
        self.assertNotIn(b"Connection: close", answer)
        self.assertIn(b" 503 ", await self.ask_operations(b"/readyz"))
        self.assertIn(b" 200 ", await self.ask_operations(b"/healthz"))
        await fresh.closed()
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port)
        with self.assertRaises(ConnectionRefusedError):
            await endpoint.connect(Factory.forProtocol(End))
        await stopping

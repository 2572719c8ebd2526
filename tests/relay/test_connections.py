"""Connections of clients and to backends: kept, in turn, bounded in time, drained."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request

from twisted.internet.error import ConnectError
from twisted.internet.threads import deferToThread
from twisted.logger import formatEvent, globalLogPublisher

from tests.clients.stage import eventually
from tests.relay.ends import OK, answering, silent
from tests.relay.stage import GET, Stage, refused
from tests.relay.test_bodies import Sender
from toolforge_gateway.observe.health import FAILURES


class Kept(Stage):
    async def test_client_side(self):
        """One client connection carries many requests, served in the order they came, also when
        they are sent ahead."""
        client = await self.client()
        client.send(GET + GET.replace(b"/jobs HTTP", b"/two HTTP") + GET)
        await client.until(lambda: client.received.count(b"\r\n\r\nok") == 3)
        lines = [line for line in self.backend.received.split(b"\r\n") if b"HTTP/1.1" in line]
        self.assertEqual(
            [line.split()[1].rpartition(b"/")[2] for line in lines], [b"jobs", b"two", b"jobs"]
        )

    async def test_upstream_side(self):
        """Requests of different clients share kept connections to the backend."""
        for _ in range(3):
            await self.ask(GET)
        self.assertEqual(len(self.backend.connections), 1)

    async def test_close_asked(self):
        """A client that asks for it gets its connection closed after the answer."""
        client = await self.client()
        client.send(GET[:-2] + b"Connection: close\r\n\r\n")
        received = await client.closed()
        self.assertIn(b"\r\nConnection: close\r\n", received)
        self.assertTrue(received.endswith(b"\r\n\r\nok"))

    async def test_backend_closes(self):
        """A backend's `Connection: close` concerns its own connection alone."""
        self.backend.script = answering(OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"))
        client = await self.client()
        client.send(GET)
        received = await client.until(b"\r\n\r\nok")
        self.assertNotIn(b"close", received)
        client.send(GET)
        await client.until(lambda: client.received.count(b"\r\n\r\nok") == 2)
        self.assertEqual(len(self.backend.connections), 2)

    async def test_stale(self):
        """A kept connection that the backend has closed is not used for the next request."""
        await self.ask(GET)
        self.backend.connections[0].transport.loseConnection()
        await self.backend.connections[0].closed()
        await self.ask(GET)
        self.assertEqual(len(self.backend.connections), 2)

    async def test_never_twice(self):
        """A request that reached a backend is not sent again, whatever becomes of it."""
        await self.ask(GET)
        self.backend.script = lambda connection: connection.transport.abortConnection()
        answer = await self.ask(GET.replace(b"GET", b"POST", 1), b"}\n")
        self.assertEqual(refused(answer), (502, "backend-closed"))
        self.assertEqual(self.backend.received.count(b"POST"), 1)

    async def test_uninvited(self):
        """A kept connection on which a backend speaks unasked is never used again."""
        await self.ask(GET)
        self.backend.connections[0].send(OK)
        await self.backend.connections[0].closed()
        await self.ask(GET)
        self.assertEqual(len(self.backend.connections), 2)

    async def test_more_than_asked(self):
        """Bytes behind an answer end the backend's connection and reach nobody."""
        self.backend.script = answering(OK + OK.replace(b"\r\nok", b"\r\nno"))
        self.assertNotIn(b"\r\n\r\nno", await self.ask(GET))
        await self.backend.connections[0].closed()

    async def test_refused_body(self):
        """A refused request does not disturb the next one on its connection."""
        client = await self.client()
        client.send(GET.replace(b"tf-test", b"other") + GET)
        received = await client.until(b"\r\n\r\nok")
        self.assertIn(b"foreign-tool", received)

    async def test_ahead(self):
        """What a client sends ahead of its turn waits with the client, not in memory, and is all
        served in the end."""
        self.backend.script = silent
        client = await self.client()
        client.send(GET)
        upstream = await self.backend.connection()
        sender = Sender(client, 48 * 1024 * 1024, GET.replace(b"tf-test", b"other") * 512)
        sender.start()
        await sender.stalled()
        self.assertLess(sender.taken, 32 * 1024 * 1024)
        self.assertEqual(client.total, 0)
        upstream.send(OK)
        await client.until(lambda: client.total > 100_000)
        self.assertEqual(self.log()[0]["status"], 200)
        self.assertEqual({line["reason"] for line in self.log()[1:]}, {"foreign-tool"})


class Slow(Stage):
    timeouts = {
        "handshake": 0.3,
        "request_head": 0.3,
        "request_idle": 0.3,
        "keep_alive": 0.3,
        "response_head": 0.3,
        "response_idle": 0.3,
    }

    async def test_head(self):
        """A head that takes too long is answered 408, and the connection closes."""
        client = await self.client()
        client.send(GET[:-2])
        self.assertEqual(refused(await client.closed()), (408, "head-timeout"))

    async def test_idle(self):
        """A connection on which no request comes is closed without a word."""
        client = await self.client()
        self.assertEqual(await client.closed(), b"")
        client = await self.client()
        client.send(GET)
        await client.until(b"\r\n\r\nok")
        self.assertTrue((await client.closed()).endswith(b"\r\n\r\nok"))

    async def test_body(self):
        """A body that stops coming is answered 408, and its upstream request ends."""
        self.backend.script = silent
        client = await self.client()
        client.send(GET[:-2].replace(b"GET", b"PUT", 1) + b"Content-Length: 9\r\n\r\nhalf")
        self.assertEqual(refused(await client.closed()), (408, "body-timeout"))
        await self.backend.connections[0].closed()

    async def test_backend_head(self):
        """A backend that does not answer is a 504."""
        self.backend.script = silent
        answer = await self.ask(GET, b"}\n")
        self.assertEqual(refused(answer), (504, "backend-timeout"))
        await self.backend.connections[0].closed()

    async def test_backend_body(self):
        """A backend that stops in the middle of its answer is cut off, for the client too; the log
        says where and why."""
        said: list = []
        globalLogPublisher.addObserver(said.append)
        self.addCleanup(globalLogPublisher.removeObserver, said.append)
        self.backend.script = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        client = await self.client()
        client.send(GET)
        self.assertTrue((await client.closed()).endswith(b"\r\n\r\nhalf"))
        self.assertEqual(self.log()[0]["reason"], "backend-cut")
        self.assertIn(
            f"jobs-api at 127.0.0.1:{self.backend.number}: backend-cut: nothing more for 0.3 s",
            [formatEvent(event) for event in said],
        )


class Reluctant(Stage):
    timeouts = {"response_idle": 0.3}

    async def test_client_takes_nothing(self):
        """A client that takes nothing of its answer is cut off, and it is not the backend's fault:
        no client can have a backend called failing."""
        size = 24 * 1024 * 1024  # more than there is room for on the way
        self.backend.script = answering(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
        )
        for count in range(1, FAILURES + 1):
            client = await self.client()
            client.send(GET)
            await client.until(b"\r\n\r\n")
            client.transport.pauseProducing()
            await eventually(lambda count=count: len(self.log()) == count)
            client.transport.abortConnection()
        told = [(line["status"], line["reason"], line["complete"]) for line in self.log()]
        self.assertEqual(told, [(200, "client-left", False)] * FAILURES)
        figures = self.service.process.overview.figures()
        self.assertNotEqual(figures.health["jobs-api"].state.value, "failing")


class SlowPaths(Stage):
    backend_keys = {
        "timeouts": {"response_head": 0.3},
        "slow_paths": [{"pattern": "/logs$", "timeouts": {"response_head": 60}}],
    }

    async def test_slow_path(self):
        """A slow path's deadlines are its own."""
        self.backend.script = silent
        logs = await self.client()
        logs.send(GET.replace(b"/jobs HTTP", b"/logs HTTP"))
        upstream = await self.backend.connection()
        answer = await self.ask(GET, b"}\n")
        self.assertEqual(refused(answer), (504, "backend-timeout"))
        upstream.send(OK)
        await logs.until(b"\r\n\r\nok")


class SlowBodies(Stage):
    timeouts = {"request_idle": 0.3}
    backend_keys = {
        "timeouts": {"request_idle": 60},
        "slow_paths": [{"pattern": "/quick$", "timeouts": {"request_idle": 0.3}}],
    }

    async def test_request_idle(self):
        """How long a client may be silent within a body is the backend's to say, and its slow
        paths'."""
        self.backend.script = silent
        half = GET[:-2].replace(b"GET", b"PUT", 1) + b"Content-Length: 6\r\n\r\nabc"
        patient = await self.client()
        patient.send(half)
        upstream = await self.backend.connection()
        hasty = await self.client()
        hasty.send(half.replace(b"/jobs HTTP", b"/quick HTTP"))
        self.assertEqual(refused(await hasty.closed()), (408, "body-timeout"))
        patient.send(b"def")
        await upstream.until(b"\r\n\r\nabcdef")


class Full(Stage):
    limits = {"connections": 1}

    async def test_over_the_limit(self):
        """A connection over the limit is closed before TLS; those below it are not disturbed, and
        the place of one that has gone is free."""
        first = await self.client()
        second = await self.client()
        await second.closed()
        first.send(GET)
        await first.until(b"\r\n\r\nok")
        first.transport.loseConnection()
        await first.closed()
        await self.ask(GET)


class FullPerAddress(Stage):
    limits = {"connections_per_address": 1}

    async def test_over_the_limit(self):
        """The same for each address; the reset may come while the client is still connecting."""
        first = await self.client()
        try:
            second = await self.client()
        except ConnectError:
            pass
        else:
            await second.closed()
        first.send(GET)
        await first.until(b"\r\n\r\nok")


class Proxied(Stage):
    listener = {
        "proxy_protocol": {"trusted": ["127.0.0.1/32"]},
        "forwarded": {"trusted": [{"cidr": "127.0.0.1/32"}]},
    }

    async def test_address(self):
        """The address that a trusted peer announces is the client's, for backend and log; trust in
        the PROXY header is no trust in X-Forwarded-For."""
        client = await self.client(header=b"PROXY TCP4 203.0.113.5 127.0.0.1 5000 443\r\n")
        client.send(GET[:-2] + b"X-Forwarded-For: 6.6.6.6\r\n\r\n")
        await client.until(b"\r\n\r\nok")
        self.assertIn(b"\r\nX-Forwarded-For: 203.0.113.5\r\n", self.backend.received)
        self.assertEqual(self.log()[0]["client"], "203.0.113.5")

    async def test_version_2(self):
        """So it is in version 2 of the header."""
        addresses = bytes([203, 0, 113, 5, 127, 0, 0, 1]) + b"\x13\x88\x01\xbb"
        client = await self.client(header=b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + addresses)
        client.send(GET)
        await client.until(b"\r\n\r\nok")
        self.assertIn(b"\r\nX-Forwarded-For: 203.0.113.5\r\n", self.backend.received)

    async def test_missing(self):
        """A trusted peer without the header is not served."""
        client = await self.client()
        await client.closed()


class Unproxied(Stage):
    listener = {"proxy_protocol": {"trusted": ["192.0.2.7/32"]}}

    async def test_unasked(self):
        """Another peer that sends the header is not served; without it, it is."""
        client = await self.client(header=b"PROXY TCP4 203.0.113.5 127.0.0.1 5000 443\r\n")
        await client.closed()
        await self.ask(GET)


class Drained(Stage):
    async def test_drain(self):
        """Stopping closes what is idle, lets a running answer come to its end, says that this was
        its connection's last, and then is done."""
        idle = await self.client()
        self.backend.script = silent
        busy = await self.client()
        busy.send(GET)
        upstream = await self.backend.connection()
        stopped = self.service.stopService()
        await idle.closed()
        self.assertNoResult(stopped)
        upstream.send(OK)
        received = await busy.closed()
        self.assertIn(b"\r\nConnection: close\r\n", received)
        self.assertTrue(received.endswith(b"\r\n\r\nok"))
        await stopped

    async def test_patience_ends(self):
        """What does not come to its end within `drain` is cut."""
        self.backend.script = silent
        client = await self.client()
        client.send(GET)
        upstream = await self.backend.connection()
        await self.service.stopService()
        await client.closed()
        await upstream.closed()

    async def test_operations(self):
        """The operations port says that the process lives and whether it takes requests, until
        the end."""
        port = self.service.operations_address().port

        def ask(page: str) -> tuple[int, bytes]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}") as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.read()

        self.assertEqual(await deferToThread(ask, "healthz"), (200, b"ok\n"))
        self.assertEqual(await deferToThread(ask, "readyz"), (200, b"ok\n"))
        self.assertEqual((await deferToThread(ask, "other"))[0], 404)
        self.backend.script = silent
        busy = await self.client()
        busy.send(GET)
        upstream = await self.backend.connection()
        stopped = self.service.stopService()
        self.assertEqual(await deferToThread(ask, "healthz"), (200, b"ok\n"))
        self.assertEqual(await deferToThread(ask, "readyz"), (503, b"draining\n"))
        upstream.send(OK)
        await busy.closed()
        await stopped


class Alpn(Stage):
    async def test_http_1_1(self):
        """A client that can speak HTTP/2 is told to speak HTTP/1.1."""
        from tests.clients.stage import pki

        def ask() -> str | None:
            import socket

            context = ssl.create_default_context(cafile=str(pki() / "server-ca.crt"))
            context.set_alpn_protocols(["h2", "http/1.1"])
            with (
                socket.create_connection(("127.0.0.1", self.port)) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as tls,
            ):
                return tls.selected_alpn_protocol()

        self.assertEqual(await deferToThread(ask), "http/1.1")

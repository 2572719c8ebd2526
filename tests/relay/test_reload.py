"""Another configuration is put in force while clients are connected."""

from __future__ import annotations

import yaml
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import formatEvent, globalLogPublisher

from tests.clients.stage import eventually, pki
from tests.relay.ends import OK, End, answering, connect, silent
from tests.relay.reloading import AS_SERVICE, Reloading, raiser
from tests.relay.stage import GET, refused
from toolforge_gateway import config
from toolforge_gateway.edge.connection import ServerConnection
from toolforge_gateway.listen.sockets import Sockets


class ReloadTests(Reloading):
    async def test_routes(self) -> None:
        """New backends are found at once, also on living connections; gone ones are no more."""
        client = await self.client()
        other = self.second_backend()
        document = self.document()
        document["backends"][0]["path"] = "/builds"
        document["backends"][0]["url"] = f"https://127.0.0.1:{other.number}"
        for _ in range(3):
            client.send(GET)
            await client.until(b"\r\n\r\nok")
            client.take()
        await self.changed(document)
        client.send(GET)
        await client.until(b"no-such-path")
        client.take()
        client.send(GET.replace(b"/jobs", b"/builds"))
        await client.until(b"\r\n\r\n2!")
        self.assertEqual(len(self.backend.connections), 1)

    async def test_running(self) -> None:
        """What runs ends as it began, at the backend where it began; the connection goes on."""
        client, upstream = await self.held()
        other = self.second_backend()
        document = self.document()
        document["backends"][0]["url"] = f"https://127.0.0.1:{other.number}"
        await self.changed(document)
        upstream.send(OK)
        await client.until(b"\r\n\r\nok")
        client.send(GET)
        await client.until(b"\r\n\r\n2!")
        # The former backend's connection is not kept for nobody.
        await upstream.closed()

    async def test_bad(self) -> None:
        """A configuration with a complaint leaves everything as it is, and says where."""
        client = await self.client()
        version = self.service.prepared.configuration.version
        document = self.document()
        document["listen"][0]["tls"]["certificate"] = "tls/nothing.crt"
        document["backends"][0]["path"] = "/builds"
        for text, complaint in (
            (yaml.safe_dump(document), "nothing.crt cannot be read"),
            ("listen: [", "is not YAML"),
            ("", "is empty"),
        ):
            outcome = await self.reload(text)
            self.assertFalse(outcome.good)
            self.assertEqual(outcome.version, version)
            self.assertIn(complaint, outcome.complaints[0])
            self.assertIn(str(self.file), outcome.complaints[0])
            client.send(GET)
            await client.until(b"\r\n\r\nok")
            client.take()
        self.assertEqual((self.reloader.good, self.reloader.bad), (0, 3))
        self.file.unlink()
        self.assertIn("cannot be read", (await self.reloader.reload()).complaints[0])

    async def test_told(self) -> None:
        """What came of it is logged, and told to those who want to know, in order."""
        told: list[object] = []
        self.reloader.tell(lambda: told.append("begun"), told.append)
        events: list[str] = []
        observer = lambda event: events.append(formatEvent(event))  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        first, second = self.reloader.reload(), self.reloader.reload()
        outcomes = [await first, await second]
        self.assertEqual(told, ["begun", outcomes[0], "begun", outcomes[1]])
        self.assertEqual(self.reloader.last, outcomes[1])
        bad = await self.reload("listen: [")
        version = self.service.prepared.configuration.version
        self.assertIn(f"reloaded: configuration {version} is in force", events)
        self.assertIn(f"not reloaded: {bad.complaints[0]}", events)

    async def test_no_longer_granted(self) -> None:
        """Connections whose identity is another one by the new rules end after their current
        request, idle ones at once; others stay."""
        service = await self.client(AS_SERVICE)
        busy = await self.client(AS_SERVICE)
        tool = await self.client()
        for client in (service, tool):
            client.send(GET)
            await client.until(b"\r\n\r\nok")
            client.take()
        self.backend.script = silent
        busy.send(GET)
        upstream = await self.backend.connection()
        await upstream.until(lambda: upstream.requests == 3)
        document = self.document()
        document["authenticators"][1]["superusers"] = {"service:jobs-api": ["^.*$"]}
        await self.changed(document)
        await service.closed()
        upstream.send(OK)
        answer = await busy.closed()
        self.assertIn(b"\r\nConnection: close\r\n", answer)
        self.assertTrue(answer.endswith(b"\r\n\r\nok"))
        self.backend.script = answering(OK)
        tool.send(GET)
        await tool.until(b"\r\n\r\nok")
        again = await self.client(AS_SERVICE)
        again.send(GET)
        self.assertEqual(refused(await again.closed())[0], 403)

    async def test_certificate_becomes_required(self) -> None:
        """Who has shown no certificate is let go when one is required."""
        nobody, tool = await self.client(None), await self.client()
        document = self.document()
        document["listen"][0]["tls"]["client_certificate"] = "required"
        await self.changed(document)
        await nobody.closed()
        tool.send(GET)
        await tool.until(b"\r\n\r\nok")

    async def test_listeners(self) -> None:
        """Listeners come and go; connections of one that is gone end after their request, and
        the others notice nothing."""
        document = self.document()
        document["listen"].append({**document["listen"][0], "endpoint": f"unix:{self.short}/s"})
        client = await self.client()
        client.send(GET)
        await client.until(b"\r\n\r\nok")
        client.take()
        await self.changed(document)
        self.assertTrue((self.short / "s").is_socket())
        document["listen"][1]["endpoint"] = "tcp:0:interface=127.0.0.2"
        await self.changed(document)
        self.assertFalse((self.short / "s").exists())
        other = self.service.addresses()[1]
        self.assertEqual(other.host, "127.0.0.2")
        document["listen"].pop(0)
        await self.changed(document)
        client.send(GET)
        self.assertIn(b"\r\nConnection: close\r\n", await client.closed())
        self.assertEqual(self.service.addresses(), (other,))

    async def test_rules_of_a_gone_listener(self) -> None:
        """Who is connected to a listener that goes is granted nothing that the new rules do
        not grant, however much they have sent ahead."""
        self.backend.script = silent
        service = await self.client(AS_SERVICE)
        service.send(GET + GET)
        upstream = await self.backend.connection()
        await upstream.until(lambda: upstream.requests == 1)
        document = self.document()
        document["listen"][0]["endpoint"] = "tcp:0:interface=127.0.0.2"
        document["authenticators"][1]["superusers"] = {"service:jobs-api": ["^.*$"]}
        await self.changed(document)
        upstream.send(OK)
        answer = await service.closed()
        self.assertEqual(answer.count(b"HTTP/1.1 200"), 1)
        self.assertEqual(upstream.requests, 1)

    async def test_one_cannot_be_examined(self) -> None:
        """One connection that breaks over new rules is let go, and all others are examined."""
        clients = [await self.client(AS_SERVICE) for _ in range(3)]
        for client in clients:  # so that its handshake is over
            client.send(GET)
            await client.until(b"\r\n\r\nok")
        broken = []
        examine = ServerConnection.examine

        def breaks(connection: ServerConnection) -> None:
            if not broken:
                broken.append(connection)
                raise ZeroDivisionError
            examine(connection)

        self.patch(ServerConnection, "examine", breaks)
        document = self.document()
        document["authenticators"][1]["superusers"] = {"service:jobs-api": ["^.*$"]}
        await self.changed(document)
        for client in clients:
            await client.closed()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_no_descriptor_for_a_port(self) -> None:
        """A new listener for whose port no descriptor is left is said; all others go by the new
        rules, and the next reload opens it."""
        document = self.document()
        path = f"unix:{self.short}/s"
        document["listen"].insert(0, {**document["listen"][0], "endpoint": path})
        document["backends"][0]["path"] = "/builds"
        accepting = self.patch(Sockets, "listen", raiser(OSError(24, "Too many open files")))
        outcome = await self.reload(document)
        accepting.restore()
        self.assertIn("only a part", outcome.complaints[0])
        await self.ask(GET.replace(b"/jobs", b"/builds"))
        await self.changed(document)
        self.assertEqual(self.service.addresses()[0].name, bytes(self.short / "s"))
        self.assertTrue(self.flushLoggedErrors(OSError))

    async def test_no_descriptor_for_the_operations_port(self) -> None:
        """So it is with the operations port: everything else is in force, the next reload opens
        it, and the new configuration's files are watched."""
        document = self.document()
        before = reactor.seconds()
        document["operations"]["endpoint"] = f"unix:{self.short}/operations"
        document["backends"][0]["path"] = "/builds"
        accepting = self.patch(Sockets, "listen", raiser(OSError(24, "Too many open files")))
        outcome = await self.reload(document)
        accepting.restore()
        self.assertIn("only a part", outcome.complaints[0])
        self.assertIsNone(self.service.operations_address())
        await self.ask(GET.replace(b"/jobs", b"/builds"))
        watched = [state.since for _, state in self.service.process.rotation.states()]
        self.assertTrue(all(since > before for since in watched), (before, watched))
        await self.changed(document)
        self.assertEqual(self.service.operations_address().name, bytes(self.short / "operations"))
        self.assertTrue(self.flushLoggedErrors(OSError))

    async def test_listener_that_cannot_be(self) -> None:
        """A new listener whose address is taken is a complaint with its line; nothing else of
        that configuration counts, and what was opened for it is closed."""
        document = self.document()
        taken = f"tcp:{self.backend.number}:interface=127.0.0.1"
        free = f"unix:{self.short}/free"
        document["listen"] += [
            {**document["listen"][0], "endpoint": endpoint} for endpoint in (free, taken)
        ]
        outcome = await self.reload(document)
        (complaint,) = outcome.complaints
        self.assertIn("listen[2]", complaint)
        self.assertIn("Address already in use", complaint)
        self.assertFalse((self.short / "free").exists())
        document["access_log"] = {"file": "nowhere/access.log"}
        outcome = await self.reload(document)
        self.assertEqual(
            {said.split(": ")[1] for said in outcome.complaints}, {"access_log.file", "listen[2]"}
        )
        del document["access_log"]
        document["listen"].pop()
        await self.changed(document)

    async def test_proxy_protocol(self) -> None:
        """A listener can begin to expect the PROXY protocol, and cease to, without closing."""
        document = self.document()
        document["listen"][0]["proxy_protocol"] = {"trusted": ["127.0.0.1/32"]}
        await self.changed(document)
        client = await self.client(header=b"PROXY TCP4 192.0.2.7 192.0.2.1 1 443\r\n")
        client.send(GET)
        await client.until(b"\r\n\r\nok")
        self.assertEqual(self.log()[-1]["client"], "192.0.2.7")
        await self.changed(self.document())
        client = await self.client()
        client.send(GET)
        await client.until(b"\r\n\r\nok")

    async def test_proxy_no_longer_trusted(self) -> None:
        """A connection whose address was told by a proxy that is not trusted any more ends after
        its next answer."""
        document = self.document()
        document["listen"][0]["proxy_protocol"] = {"trusted": ["127.0.0.1/32"]}
        await self.changed(document)
        client = await self.client(header=b"PROXY TCP4 192.0.2.7 192.0.2.1 1 443\r\n")
        client.send(GET)
        await client.until(b"\r\n\r\nok")
        client.take()
        document["listen"][0]["proxy_protocol"] = {"trusted": ["192.0.2.0/24"]}
        await self.changed(document)
        client.send(GET)
        self.assertIn(b"\r\nConnection: close\r\n", await client.closed())

    async def test_proxy_no_longer_trusted_meanwhile(self) -> None:
        """What such a proxy begins to tell and ends after the reload is not believed at all."""
        document = self.document()
        document["timeouts"]["handshake"] = 60
        document["listen"][0]["proxy_protocol"] = {"trusted": ["127.0.0.1/32"]}
        await self.changed(document)
        header = b"PROXY TCP4 192.0.2.7 192.0.2.1 1 443\r\n"
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port)
        proxy = await endpoint.connect(Factory.forProtocol(End))
        proxy.send(header[:20])
        await eventually(lambda: self.service.process.connections.open == 1)
        document["listen"][0]["proxy_protocol"] = {"trusted": ["192.0.2.0/24"]}
        await self.changed(document)
        proxy.send(header[20:])
        await proxy.closed()

    async def test_limits_and_log(self) -> None:
        """Limits count from then on, and the access log goes where it is to go."""
        document = self.document()
        document["limits"] = {"connections": 1, "request_body": 10}
        document["access_log"] = {"file": "other.log"}
        client = await self.client()
        await self.changed(document)
        client.send(GET[:-2] + b"Content-Length: 11\r\n\r\n")
        self.assertEqual(refused(await client.closed())[1], "body-too-large")
        self.assertEqual(self.log(), [])
        self.assertIn("body-too-large", (self.folder / "other.log").read_text())
        while self.service.process.connections.open:
            await deferLater(reactor, 0.01, lambda: None)
        first = await self.client()
        first.send(GET)
        await first.until(b"\r\n\r\nok")
        second = connect(pki(), self.port, None)
        await second.addBoth(lambda result: getattr(result, "lost", None) or True)
        self.assertEqual(self.service.process.connections.open, 1)

    async def test_connections_of_an_address(self) -> None:
        """A bound for each address counts who is connected already, over all listeners."""
        client = await self.client()
        document = self.document()
        document["limits"] = {"connections_per_address": 1}
        document["listen"].append(dict(document["listen"][0]))
        await self.changed(document)
        turned_away = self.service.process.addresses.turned_away
        ports = [address.port for address in self.service.addresses()]
        for number, port in enumerate(ports, 1):
            other = connect(pki(), port, None)  # the reset may come while it is connecting
            other.addCallbacks(End.closed, lambda failure: None)
            await other
            self.assertEqual(turned_away.count, number)
        client.send(GET)
        await client.until(b"\r\n\r\nok")
        client.transport.abortConnection()
        while self.service.process.connections.open:
            await deferLater(reactor, 0.01, lambda: None)
        await self.ask(GET)

    async def test_counters_stay(self) -> None:
        """What was counted before stays, and the status tells of the new configuration."""
        await self.ask(GET)
        document = self.document()
        document["backends"].append({**document["backends"][0], "name": "more", "path": "/more"})
        await self.changed(document)
        await self.ask(GET.replace(b"/jobs", b"/more"))
        sections = {
            section.name: section.value
            for section in self.service.process.overview.board.whole().sections
        }
        counts = {row["name"]: row["requests"] for row in sections["routes"]}
        self.assertEqual((counts["jobs-api"], counts["more"]), (1, 1))
        self.assertEqual(
            sections["gateway"]["configuration_version"],
            self.service.prepared.configuration.version,
        )

    async def test_abandoned(self) -> None:
        """A change that is not put in force leaves nothing behind."""
        document = self.document()
        free = f"unix:{self.short}/free"
        document["listen"].append({**document["listen"][0], "endpoint": free})
        self.file.write_text(yaml.safe_dump(document))
        change = self.service.prepare(config.load(self.file))
        self.assertTrue((self.short / "free").is_socket())
        change.abandon()
        self.assertFalse((self.short / "free").exists())
        await self.ask(GET)

    async def test_many(self) -> None:
        """Reload after reload leaves no descriptor, no connection and no timer behind."""
        client = await self.client()
        await self.changed(self.document())
        before = self.descriptors()
        for _ in range(5):
            await self.changed(self.document())
            client.send(GET)
            await client.until(b"\r\n\r\nok")
            client.take()
        await self.changed(self.document())
        await self.backend.connection(5)
        for connection in self.backend.connections[:5]:
            await connection.closed()
        self.assertEqual(self.descriptors(), before)

    def descriptors(self) -> int:
        import gc
        from os import listdir

        gc.collect()  # What an earlier test has left is not to go just now.
        # Those of this test's own ends come and go with the connections.
        alive = sum(connection.lost is None for connection in self.backend.connections)
        return len(listdir("/proc/self/fd")) - alive

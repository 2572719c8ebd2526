"""One attempt at a time: what becomes of reloads that fail, or wait, or come at the end."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.clients.stage import eventually
from tests.relay.ends import OK
from tests.relay.reloading import Reloading, raiser
from tests.relay.stage import GET
from toolforge_gateway.errors import Complaint, ConfigurationError
from toolforge_gateway.reload import Reloader


class ReloaderTests(Reloading):
    async def test_broken_plugin(self) -> None:
        """Whatever breaks while a configuration is prepared leaves what runs as it is."""

        class Broken:
            def __init__(self, kind: type[BaseException]) -> None:
                self.kind = kind

            def prepare(self, configuration: object) -> None:
                raise self.kind("a plug-in")

        for kind in (ZeroDivisionError, SystemExit):
            reloader = Reloader(self.file, Broken(kind), "v", Clock())
            outcome = await reloader.reload()
            self.assertEqual((outcome.good, outcome.version, outcome.at), (False, "v", 0.0))
            self.assertIn(kind.__name__, outcome.complaints[0])
            self.assertEqual(len(self.flushLoggedErrors(kind)), 1)

    async def test_one_cannot_be_told(self) -> None:
        """Who breaks over the news of a reload keeps nobody else from hearing it."""
        heard = []
        self.reloader.tell(raiser(ZeroDivisionError()), raiser(ZeroDivisionError()))
        self.reloader.tell(lambda: heard.append("begun"), heard.append)
        outcome = await self.reload(self.document())
        self.assertEqual(heard, ["begun", outcome])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    async def test_at_the_end(self) -> None:
        """Once the end has begun nothing is put in force: neither what was prepared before, nor
        anything new; whoever asked is told."""
        done = []

        class Slow:
            def __init__(self) -> None:
                self.prepared = Deferred()

            def prepare(self, configuration: object) -> Deferred:
                done.append("prepare")
                return self.prepared

            def commit(self) -> None:
                done.append("commit")

            def abandon(self) -> None:
                done.append("abandon")

        slow = Slow()
        reloader = Reloader(self.file, slow, "v", Clock())
        first, second = reloader.reload(), reloader.reload()
        reloader.close()
        slow.prepared.callback(slow)
        for attempt in (first, second):
            outcome = await attempt
            self.assertEqual((outcome.good, outcome.version), (False, "v"))
            self.assertIn("coming to its end", outcome.complaints[0])
        self.assertEqual(done, ["prepare", "abandon"])

    async def test_no_longer_preparable(self) -> None:
        """Who cannot prepare any more since the end has begun does not make the file bad."""

        class Ending:
            def __init__(self) -> None:
                self.prepared = Deferred()

            def prepare(self, configuration: object) -> Deferred:
                return self.prepared

        ending = Ending()
        reloader = Reloader(self.file, ending, "v", Clock())
        attempt = reloader.reload()
        reloader.close()
        ending.prepared.errback(ConfigurationError([Complaint("f", None, "", "worker died", "")]))
        outcome = await attempt
        self.assertEqual(outcome.complaints, ("the gateway is coming to its end",))

    async def test_shared(self) -> None:
        """However many ask while an attempt is under way, one more answers them all; it begins
        after the last of them.  Another kind of attempt is not the same."""
        begun: list[Deferred] = []

        class Change:
            def commit(self) -> None:
                """Nothing is to be done."""

        def prepare(configuration: object) -> Deferred:
            begun.append(Deferred())
            return begun[-1]

        class Service:
            pass

        service = Service()
        service.prepare = prepare  # type: ignore[attr-defined]
        reloader = Reloader(self.file, service, "v", Clock())  # type: ignore[arg-type]
        first = reloader.reload()
        others = [reloader.reload() for _ in range(5)]
        restart = reloader.restart(prepare)
        begun[0].callback(Change())
        self.assertTrue((await first).good)
        for other in others:
            self.assertNoResult(other)
        late = reloader.reload()
        begun[1].callback(Change())
        for other in others:
            self.assertTrue((await other).good)
        self.assertNoResult(restart)
        self.assertNoResult(late)
        begun[2].callback(Change())
        self.assertTrue((await restart).good)
        begun[3].callback(Change())
        self.assertTrue((await late).good)
        self.assertEqual((len(begun), reloader.good), (4, 4))

    async def test_commit_breaks(self) -> None:
        """If putting it in force breaks, that is said, and the next attempt has its turn."""

        class Torn:
            def prepare(self, configuration: object) -> Torn:
                return self

            def commit(self) -> None:
                raise ZeroDivisionError("no descriptor is left")

        reloader = Reloader(self.file, Torn(), "v", Clock())
        for _ in range(2):
            outcome = await reloader.reload()
            self.assertFalse(outcome.good)
            self.assertIn("restart the gateway", outcome.complaints[0])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)


class BoundTests(Reloading):
    """What one backend may have at once."""

    backend_keys = {"limits": {"requests": 1, "queue": 1}}

    async def test_bound(self) -> None:
        """What began before a reload counts after it: the next request waits for its end, and then
        has a connection of its own."""
        streaming, first = await self.held()
        await self.changed(self.document())
        waiting = await self.client()
        waiting.send(GET)
        pool = self.service.prepared.pools[0]
        await eventually(lambda: pool.figures().queued)
        self.assertEqual((pool.figures().taken, len(self.backend.connections)), (1, 1))
        first.send(OK)
        await streaming.until(b"\r\n\r\nok")
        second = await self.backend.connection(2)
        await second.until(b"\r\n\r\n")
        second.send(OK)
        await waiting.until(b"\r\n\r\nok")

"""When files are looked at, who is told of what is new, and what is said in the log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.tls.pairs import ORIGIN, Files, clock_at
from toolforge_gateway.config.values import UpstreamTLS
from toolforge_gateway.deadlines import Deadlines
from toolforge_gateway.testing.pki import CLIENT, SERVER, Authority
from toolforge_gateway.tls import pair
from toolforge_gateway.tls.client import UpstreamSide
from toolforge_gateway.tls.expiry import DAY, ExpiryWarnings
from toolforge_gateway.tls.held import GRACE
from toolforge_gateway.tls.server import ServerSide
from toolforge_gateway.tls.validity import Validity
from toolforge_gateway.tls.watch import Offload, RotationWatch, Watched


class WatchCase(SynchronousTestCase):
    def setUp(self) -> None:
        """A watch over one listener, that reads on this thread."""
        self.clock = clock_at()
        self.files = Files.make()
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        self.readings = 0
        self.told = 0

        def at_once(work: Callable[[], Any]) -> Deferred[Any]:
            self.readings += 1
            return succeed(work())

        self.watch = self.watching(at_once)

    def watching(self, offload: Offload) -> RotationWatch:
        self.side = self.load()
        watch = RotationWatch(Deadlines(self.clock), offload)
        watch.adopt([Watched("tcp:443", self.side, self.tell)])
        self.addCleanup(watch.stop)
        return watch

    def load(self) -> ServerSide:
        return ServerSide.load(self.files.settings(), self.clock)

    def tell(self) -> None:
        self.told += 1

    def said(self, *levels: LogLevel) -> list[str]:
        """What was logged since the last call, without the folder's name."""
        wanted = levels or (LogLevel.error, LogLevel.critical)
        lines = [formatEvent(event) for event in self.events if event.get("log_level") in wanted]
        self.events.clear()
        return [line.replace(f"{self.files.directory}/", "") for line in lines]

    def pass_by(self, seconds: float) -> None:
        """Let time go by, as the reactor would."""
        self.clock.pump([0.25] * int(seconds * 4))

    def replace(self, authority: Authority) -> None:
        self.files.write("k8s-ca.crt", authority.pem)


class WatchTests(WatchCase):
    def test_within_ten_seconds(self) -> None:
        """What was replaced is in force within ten seconds, and said; nothing is read before."""
        self.pass_by(60)
        self.assertEqual(self.readings, 0)
        self.replace(Authority("next"))
        self.pass_by(10)
        self.assertEqual((self.readings, self.told), (1, 1))
        self.assertEqual(
            self.side.verifier.anchors.all[0].certificate.subject.rfc4514_string(), "CN=next"
        )
        (line,) = self.said(LogLevel.info)
        self.assertTrue(
            line.startswith("listen[0].tls: new client CA kubernetes in force, until 2")
        )
        self.assertTrue(line.endswith(" UTC, from k8s-ca.crt"), line)
        self.assertLess(self.clock.seconds() - (self.watch.looked_at or 0), 4)

    def test_only_clients_are_examined(self) -> None:
        """A new certificate of ours is nobody else's matter."""
        new = self.files.server.issue([("CN", "api")], usages=[SERVER])
        new.write(self.files.directory, "server")
        self.pass_by(10)
        self.assertEqual(self.side.pair.certificate, new.certificate)
        self.assertEqual(self.told, 0)

    def test_bad(self) -> None:
        """What is bad is said once, with its place, and that it is good again."""
        good = (self.files.directory / "server.key").read_bytes()
        self.files.write("server.key", b"oops")
        self.pass_by(GRACE)
        self.assertEqual(self.said(), [])
        self.pass_by(60)
        (line,) = self.said()
        self.assertIn("gateway.yaml:7: listen[0].tls: server.key is no private key", line)
        self.assertIn("until then what was read before stays in force", line)
        ((where, state), *others) = self.watch.states()
        self.assertEqual(
            (where, state.name, state.place), ("tcp:443", "certificate", "listen[0].tls")
        )
        self.assertIn("is no private key", state.failure or "")
        self.assertEqual([each.failure for _, each in others], [None, None])
        self.files.write("server.key", good)
        self.events.clear()
        self.pass_by(10)
        self.assertEqual(
            self.said(LogLevel.info),
            ["listen[0].tls: certificate is good again, from server.crt, server.key"],
        )

    def test_shared_files(self) -> None:
        """Listeners that share a line of the file complain with one voice."""
        again = self.load()
        self.watch.adopt(
            [Watched(name, side, self.tell) for name, side in (("a", self.side), ("b", again))]
        )
        good = (self.files.directory / "server.key").read_bytes()
        self.files.write("server.key", b"oops")
        self.pass_by(60)
        self.assertEqual(len(self.said()), 1)
        self.files.write("server.key", good)
        self.pass_by(10)
        self.assertEqual(len(self.said(LogLevel.info)), 1)
        self.replace(Authority("next"))
        self.events.clear()
        self.pass_by(10)
        self.assertEqual((self.told, len(self.said(LogLevel.info))), (2, 1))

    def test_breaks_its_reader(self) -> None:
        """A file that breaks what reads it is said like any that is bad, without its content, and
        keeps no other from being taken up."""

        def broken(*_: Any) -> Any:
            raise RuntimeError("SECRET")

        self.patch(pair, "read_key_pair", broken)
        self.files.write("server.key", b"SECRET")
        self.replace(Authority("next"))
        self.pass_by(30)
        self.assertEqual(first_authority(self.side), "CN=next")
        (line,) = self.said()
        self.assertIn("server.crt cannot be read, or what belongs to it cannot (RuntimeE", line)
        self.assertNotIn("SECRET", line)

    def test_others(self) -> None:
        """After a reload others are watched, and the former are not."""
        former, self.side = self.side, self.load()
        self.watch.adopt([Watched("tcp:443", self.side, self.tell)])
        self.replace(Authority("next"))
        self.pass_by(10)
        self.assertEqual(self.told, 1)
        self.assertEqual(first_authority(former), "CN=kubernetes")

    def test_stopped(self) -> None:
        """A watch that was stopped looks at nothing, and leaves the clock alone."""
        self.watch.stop()
        self.replace(Authority("next"))
        self.pass_by(60)
        self.assertEqual((self.readings, self.clock.getDelayedCalls()), (0, []))

    def test_breaks(self) -> None:
        """Reading that breaks in a way that nobody thought of is said, and tried again later."""
        prepare = self.side.prepare

        def broken() -> Any:
            raise RuntimeError("nobody thought of this")

        self.patch(self.side, "prepare", broken)
        self.replace(Authority("next"))
        self.pass_by(30)
        self.assertEqual(self.told, 0)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.patch(self.side, "prepare", prepare)
        self.pass_by(60)
        self.assertEqual(self.told, 1)


class SlowTests(WatchCase):
    """Reading takes its time, on another thread."""

    def setUp(self) -> None:
        super().setUp()
        self.watch.stop()
        self.work: list[tuple[Callable[[], Any], Deferred[Any]]] = []

        def later(work: Callable[[], Any]) -> Deferred[Any]:
            self.work.append((work, Deferred()))
            return self.work[-1][1]

        self.watch = self.watching(later)
        self.replace(Authority("next"))
        self.pass_by(10)

    def finish(self) -> None:
        work, done = self.work.pop()
        done.callback(work())

    def test_one_at_a_time(self) -> None:
        """Nothing else is begun while something is being read."""
        self.pass_by(600)
        self.assertEqual(len(self.work), 1)
        self.finish()
        self.assertEqual(self.told, 1)

    def test_reload_meanwhile(self) -> None:
        """What was read for a configuration that is gone is not taken up; the next one's files
        are looked at as ever."""
        former, self.side = self.side, self.load()
        self.watch.adopt([Watched("tcp:443", self.side, self.tell)])
        self.finish()
        self.assertEqual(self.told, 0)
        self.assertEqual(first_authority(former), "CN=kubernetes")
        self.replace(Authority("after next"))
        self.pass_by(10)
        self.finish()
        self.assertEqual(self.told, 1)

    def test_stopped_meanwhile(self) -> None:
        """So it is when the gateway has ended."""
        self.watch.stop()
        self.finish()
        self.assertEqual(self.told, 0)


class EndsTests(WatchCase):
    """What is about to run out."""

    def test_at_once_and_daily(self) -> None:
        """It is said at the start, and once a day, until it is renewed; not again by a reload."""
        until = self.clock.seconds() + 2.5 * DAY
        issue = self.files.server.issue
        old = issue(
            [("CN", "api")],
            usages=[SERVER],
            not_before=datetime.now(UTC) - timedelta(days=90),
            not_after=datetime.fromtimestamp(until, UTC),
        )
        old.write(self.files.directory, "server")
        side = self.load()
        self.events.clear()
        self.watch.adopt([Watched("tcp:443", side, self.tell)])
        (line,) = self.said(LogLevel.warn)
        day = f"{datetime.fromtimestamp(until, UTC):%Y-%m-%d}"
        self.assertTrue(
            line.startswith(f"server certificate of tcp:443 (CN=api) ends in 2 days, on {day} "),
            line,
        )
        self.watch.adopt([Watched("tcp:443", side, self.tell)])
        self.assertEqual(self.said(LogLevel.warn), [])
        # An hour at a time: a quarter of a second would take too long.
        self.clock.pump([3600] * 25)
        self.assertIn("ends in 1 day, on", self.said(LogLevel.warn)[0])
        self.clock.pump([3600] * 24)
        (line,) = self.said(LogLevel.warn, LogLevel.error)
        self.assertRegex(line, "(1 day|23 hours), on")
        issue([("CN", "api")], usages=[SERVER]).write(self.files.directory, "server")
        self.clock.pump([3600] * 48)
        self.assertEqual(self.said(LogLevel.warn, LogLevel.error), [])

    def test_last_day_and_end(self) -> None:
        """The last day, and the end, are said when they come, whenever it was last spoken of."""
        until = self.clock.seconds() + 1.2 * DAY
        soon = self.files.server.issue(
            [("CN", "api")],
            usages=[SERVER],
            not_before=datetime.now(UTC) - timedelta(days=90),
            not_after=datetime.fromtimestamp(until, UTC),
        )
        soon.write(self.files.directory, "server")
        self.watch.adopt([Watched("tcp:443", self.load(), self.tell)])
        self.assertEqual(len(self.said(LogLevel.warn)), 1)
        self.clock.advance(0.2 * DAY - 30)
        self.assertEqual(self.said(LogLevel.warn, LogLevel.error), [])
        self.clock.pump([3] * 31)
        self.assertEqual(len(self.said(LogLevel.error)), 1)
        self.clock.advance(DAY - 120)
        self.assertEqual(self.said(LogLevel.warn, LogLevel.error), [])
        self.clock.pump([3] * 41)
        (line,) = self.said(LogLevel.error)
        self.assertIn("server certificate of tcp:443 (CN=api) ended on 20", line)

    def test_upstream(self) -> None:
        """What is shown to backends runs out too."""
        issued = self.files.backend.issue(
            usages=[CLIENT],
            not_before=datetime.now(UTC) - timedelta(9),
            not_after=datetime.now(UTC) + timedelta(hours=1.5),
        )
        issued.write(self.files.directory, "client")
        paths = [self.files.settings().client_cas[1].ca]
        paths += [file_of(self.files, name) for name in ("client.crt", "client.key")]
        side = UpstreamSide.load(UpstreamTLS(*paths, ORIGIN), self.clock)
        self.events.clear()
        self.watch.adopt([Watched("", side, self.tell)])
        (line,) = self.said()
        self.assertIn("certificate shown to backends (", line)
        self.assertIn("ends in 1 hour, on", line)
        self.assertEqual([where for where, _ in self.watch.states()], ["upstream", "upstream"])


def first_authority(side: ServerSide) -> str:
    """Who vouches first, by RFC 4514."""
    return side.verifier.anchors.all[0].certificate.subject.rfc4514_string()


def file_of(files: Files, name: str) -> Any:
    """A file that is there already."""
    return files.write(name, (files.directory / name).read_bytes())


class WarningsTests(SynchronousTestCase):
    """When a thing is worth speaking of."""

    now = 1_800_000_000.0

    def said(self, *found: Validity, now: float = now) -> list[str]:
        events: list[Any] = []
        warnings = ExpiryWarnings()
        globalLogPublisher.addObserver(events.append)
        try:
            warnings.look(found, now)
        finally:
            globalLogPublisher.removeObserver(events.append)
        return [formatEvent(event) for event in events]

    def thing(
        self, life: float, left: float, name: str = "x", group: str | None = None
    ) -> Validity:
        """Something that lives for so many days, of which so many are left."""
        ends = self.now + left * DAY
        return Validity(name, "server", "CN=x", ends, ends - life * DAY, group)

    def test_when(self) -> None:
        """A fortnight before its end, or in the last quarter of a shorter life."""
        for life, left, spoken in (
            (365, 15, False),
            (365, 13, True),
            (365, -3, True),
            (90, 13, True),
            (21, 7, False),
            (21, 5, True),
            (1, 0.3, False),
            (1, 0.2, True),
            (0, -1, True),
        ):
            self.assertEqual(bool(self.said(self.thing(life, left))), spoken, (life, left))

    def test_missing(self) -> None:
        """What is not there does not run out."""
        self.assertEqual(self.said(Validity("x", "revocation-list", "CN=x", None)), [])

    def test_followed(self) -> None:
        """An authority that has ended is no matter beside one of the same CA that has not."""
        old, new = self.thing(90, -1, "old", "CA"), self.thing(90, 60, "new", "CA")
        self.assertEqual(self.said(old, new), [])
        self.assertEqual(len(self.said(old, self.thing(90, 60, "new", "another"))), 1)
        self.assertEqual(len(self.said(old, self.thing(90, -2, "older", "CA"))), 2)

    def test_words(self) -> None:
        """The words are those of a person."""
        for left, words in (
            (2.1, "ends in 2 days, on "),
            (1.5, "ends in 1 day, on "),
            (0.5, "ends in 12 hours, on "),
            (0.05, "ends in 1 hour, on "),
            (0.01, "ends within the hour, on "),
            (-1, "ended "),
        ):
            self.assertIn(words, self.said(self.thing(60, left))[0])

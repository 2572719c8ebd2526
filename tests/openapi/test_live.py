"""The schedule, and what is kept of what was fetched; time, fetches and threads by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import yaml
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.config.backend import UpstreamAddress, UpstreamURL
from toolforge_gateway.openapi import assemble as room
from toolforge_gateway.openapi.assemble import EXTENSION
from toolforge_gateway.openapi.fetch import CannotFetch, Fetched, Source
from toolforge_gateway.openapi.live import Fetch, LiveDocument
from toolforge_gateway.openapi.part import Settings

URL = UpstreamURL("10.1.2.3", 8443, "")
NOW = 1_800_000_000.0
"""2027-01-15T08:00:00Z."""


def document(title: str = "Title", paths: int = 1, **more: Any) -> dict:
    """A document with so many operations."""
    item = {"get": {"responses": {"200": {"description": "OK"}}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1.2"},
        "paths": {f"/p{number}": item for number in range(paths)},
        **more,
    }


def fetched(tree: object, etag: str | None = None) -> Fetched:
    """It, as it came."""
    return Fetched(json.dumps(tree).encode(), "application/json", etag)


class Case(SynchronousTestCase):
    """A live document of two APIs."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.asked: list[tuple[str, str | None]] = []
        self.answers: dict[str, Callable[[], Deferred]] = {}
        self.offloaded = 0
        self.logged: list[str] = []
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)
        self.live = self.make("jobs", "builds")
        self.says("jobs", document("Jobs"))
        self.says("builds", document("Builds", 3))

    def make(self, *apis: str, fetch: Fetch | None = None, **keys: Any) -> LiveDocument:
        live = LiveDocument(
            tuple(Source(api, f"/{api}", URL, "/openapi.json", None, **keys) for api in apis),
            Settings("All", "1"),
            60,
            self.clock,
            fetch or self.fetch,
            self.offload,
            lambda data, kind: data,
            lambda low, high: high,
        )
        self.addCleanup(live.stop)
        return live

    def log(self, event: dict) -> None:
        if event.get("log_format", "").startswith("OpenAPI"):
            self.logged.append(event["log_format"].format(**event))

    def fetch(self, source: Source, etag: str | None) -> Deferred:
        self.asked.append((source.api, etag))
        return self.answers[source.api]()

    def offload(self, work: Callable[[], Any]) -> Deferred:
        self.offloaded += 1
        return succeed(work())

    def says(self, api: str, tree: object, etag: str | None = None) -> None:
        """The backend answers with a document from now on."""
        self.answers[api] = lambda: succeed(fetched(tree, etag))

    def fails(self, api: str, sentence: str) -> None:
        """The backend has none to give from now on."""
        self.answers[api] = lambda: fail(CannotFetch(sentence, "at 10.1.2.3"))

    def round(self) -> dict:
        """The next round; the document after it."""
        self.clock.advance(66)
        return self.shown()

    def shown(self) -> dict:
        return json.loads(self.live.json)

    def state(self, api: str) -> dict:
        """What the document says of an API."""
        return {key: self.shown()[EXTENSION][api][key] for key in ("fetched_at", "stale", "error")}


class PlacesTests(Case):
    """An API that is in several places."""

    def test_silent_place(self) -> None:
        """A place that gives no document is asked last the next time; one that does stays first."""
        bad, good = (UpstreamAddress(f"192.0.2.{n}", 443) for n in (1, 2))
        asked: list[UpstreamAddress] = []

        def fetch(source: Source, etag: str | None) -> Deferred:
            asked.append(source.places[0])
            if source.places[0] is bad:
                return fail(CannotFetch("did not answer within 10 s"))
            return succeed(fetched(document("Jobs")))

        live = self.make("jobs", fetch=fetch, places=(bad, good))
        live.start()
        self.assertEqual(live.states()[0].error, "did not answer within 10 s")
        for _ in range(3):
            self.clock.advance(66)
            self.assertIsNone(live.states()[0].error)
        self.assertEqual(asked, [bad, good, good, good])


class ScheduleTests(Case):
    """When backends are asked."""

    def test_rounds(self) -> None:
        """All at start, and again after `refresh` and its spread."""
        self.assertEqual(self.asked, [])
        self.live.start()
        self.assertEqual(self.asked, [("jobs", None), ("builds", None)])
        self.clock.advance(65.9)
        self.assertEqual(len(self.asked), 2)
        self.clock.advance(0.2)
        self.assertEqual(len(self.asked), 4)

    def test_parallel(self) -> None:
        """Nobody waits for anybody; the next round waits for the slowest of this one."""
        slow: Deferred = Deferred()
        self.answers["jobs"] = lambda: slow
        self.live.start()
        self.assertEqual(len(self.asked), 2)
        self.clock.advance(1000)
        self.assertEqual(len(self.asked), 2)
        self.assertIsNone(self.live.json)
        slow.callback(fetched(document()))
        self.assertEqual(len(self.shown()["paths"]), 4)
        self.clock.advance(66)
        self.assertEqual(len(self.asked), 4)

    def test_stop(self) -> None:
        """Stopping ends what is under way, and nothing comes after it."""
        cancelled: list[Deferred] = []
        self.answers["jobs"] = lambda: Deferred(cancelled.append)
        self.live.start()
        stopped = self.live.stop()
        self.assertEqual(len(cancelled), 1)
        self.successResultOf(stopped)
        self.clock.advance(1000)
        self.assertEqual(len(self.asked), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsNone(self.live.json)

    def test_stop_between_rounds(self) -> None:
        """So it does between two rounds, and what is there stays; a second time is harmless."""
        self.live.start()
        self.successResultOf(self.live.stop())
        self.successResultOf(self.live.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.shown()["paths"]), 4)

    def test_stop_while_merging(self) -> None:
        """What a thread comes back with after the stop is not taken."""
        merging: Deferred = Deferred()
        self.live._offload = lambda work: merging
        self.live.start()
        self.successResultOf(self.live.stop())
        merging.callback("whatever")
        self.assertIsNone(self.live.json)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nobody(self) -> None:
        """Without sources nothing runs."""
        live = self.make()
        live.start()
        self.assertFalse(live.exists)
        self.assertEqual((self.offloaded, self.clock.getDelayedCalls()), (0, []))
        self.assertEqual(live.states(), ())

    def test_broken_round(self) -> None:
        """A mistake of ours in one round does not end the schedule."""
        self.live._offload = lambda work: fail(ValueError("ours"))
        self.live.start()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.live._offload = self.offload
        self.assertEqual(len(self.round()["paths"]), 4)

    def test_strange_failure(self) -> None:
        """A fetch that fails as none should is that one API's trouble."""
        self.answers["jobs"] = lambda: fail(KeyError("ours"))
        self.live.start()
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(self.state("jobs")["error"], "could not be asked")
        self.assertEqual(len(self.shown()["paths"]), 3)


class ContentTests(Case):
    """What stays, what changes, and what is said of it."""

    def test_first(self) -> None:
        """Every API has an account in the document, and in `states`."""
        self.live.start()
        self.assertEqual(
            self.state("jobs"),
            {"fetched_at": "2027-01-15T08:00:00Z", "stale": False, "error": None},
        )
        jobs, builds = self.live.states()
        self.assertEqual(
            (builds.api, builds.path, builds.title, builds.version, builds.operations),
            ("builds", "/builds", "Builds", "1.2", 3),
        )
        self.assertEqual((jobs.fetched_at, jobs.checked_at), (NOW, NOW))
        self.assertEqual(yaml.safe_load(self.live.yaml), self.shown())

    def test_before_the_first(self) -> None:
        """Before anything is known, that is what is said."""
        (state, _) = self.live.states()
        self.assertEqual(
            (state.title, state.operations, state.fetched_at, state.stale, state.error),
            (None, 0, None, True, None),
        )

    def test_unchanged(self) -> None:
        """Bytes and tags do not change while documents do not, whatever time it is; nothing is
        merged then, and only `checked_at` goes on."""
        self.live.start()
        before = self.live.json
        self.round()
        self.answers["jobs"] = lambda: succeed(None)
        self.round()
        self.assertIs(self.live.json, before)
        self.assertEqual(self.offloaded, 1)
        self.assertEqual(
            (self.live.states()[0].fetched_at, self.live.states()[0].checked_at), (NOW, NOW + 132)
        )

    def test_same_in_other_words(self) -> None:
        """Another spelling of the same document is not a new one."""
        self.live.start()
        before = self.live.json
        text = json.dumps(document("Jobs"), indent=2).encode()
        self.answers["jobs"] = lambda: succeed(Fetched(text, "application/json", None))
        self.round()
        self.assertEqual(self.live.json, before)

    def test_tags(self) -> None:
        """The tag of what was seen last goes with the next request."""
        self.says("jobs", document(), '"a"')
        self.live.start()
        self.round()
        self.assertEqual(self.asked[2:], [("jobs", '"a"'), ("builds", None)])

    def test_down_and_back(self) -> None:
        """The last good part is kept, is called stale, and is itself again afterwards."""
        self.live.start()
        before = self.live.json
        self.fails("jobs", "cannot be reached")
        now = self.round()
        self.assertEqual(len(now["paths"]), 4)
        self.assertEqual(
            self.state("jobs"),
            {"fetched_at": "2027-01-15T08:00:00Z", "stale": True, "error": "cannot be reached"},
        )
        self.assertEqual(self.state("builds")["stale"], False)
        self.assertNotIn(b"10.1.2.3", self.live.json)
        self.says("jobs", document("Jobs"))
        self.round()
        self.assertEqual(self.live.json, before)

    def test_never_there(self) -> None:
        """An API that was never seen has no part, and its account says why."""
        self.fails("jobs", "cannot be reached")
        self.live.start()
        self.assertEqual(
            self.state("jobs"), {"fetched_at": None, "stale": True, "error": "cannot be reached"}
        )
        self.assertEqual(len(self.shown()["paths"]), 3)

    def test_nobody_there(self) -> None:
        """With all of them down there is a document all the same, after the first round."""
        self.fails("jobs", "x")
        self.fails("builds", "y")
        self.live.start()
        self.assertEqual(self.shown()["paths"], {})

    def test_bad_after_good(self) -> None:
        """A document that cannot be read, or not be used, gives way to the last good one; that it
        is still the same bad one changes nothing more."""
        self.live.start()
        for tree, sentence in [
            ([], "has a document that cannot be read: "),
            (
                {"swagger": "2.0", "info": {"title": "x", "version": "1"}, "paths": {}},
                "has a document that cannot be used: /swagger",
            ),
            (
                document(paths=0, components={"schemas": {"A": {"$ref": "#/nowhere"}}}),
                "has a document that cannot be used: /components/schemas/A",
            ),
        ]:
            self.says("jobs", tree, '"bad"')
            now = self.round()
            self.assertEqual(len(now["paths"]), 4)
            self.assertTrue(self.state("jobs")["error"].startswith(sentence), self.state("jobs"))
            self.assertEqual(self.state("jobs")["fetched_at"], "2027-01-15T08:00:00Z")
            before = self.live.json
            self.round()
            self.answers["jobs"] = lambda: succeed(None)
            self.round()
            self.assertIs(self.live.json, before)
        self.says("jobs", document("Jobs", 2))
        self.assertEqual(len(self.round()["paths"]), 5)
        self.assertEqual(self.state("jobs")["error"], None)
        self.assertNotEqual(self.state("jobs")["fetched_at"], "2027-01-15T08:00:00Z")

    def test_bad_from_the_start(self) -> None:
        """A bad document that is the first one leaves the API out, and the others in."""
        self.says("jobs", {"swagger": "2.0", "info": {}, "paths": {}})
        self.live.start()
        self.assertEqual(len(self.shown()["paths"]), 3)
        state = self.live.states()[0]
        self.assertEqual((state.title, state.operations, state.fetched_at), (None, 0, None))
        self.assertTrue(state.stale)

    def test_merge_breaks(self) -> None:
        """Should the merge itself break, whoever breaks it is found and left out."""
        self.live.start()
        real = room.merge

        def merge(parts, settings):
            if any(part.document["info"]["title"] == "Poison" for part in parts):
                raise RuntimeError("ours")
            return real(parts, settings)

        self.patch(room, "merge", merge)
        self.says("jobs", document("Poison"))
        self.says("builds", document("Builds", 4))
        now = self.round()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(len(now["paths"]), 5)
        self.assertEqual(self.state("jobs")["error"], "has a document that cannot be merged")
        self.assertEqual(self.state("builds")["error"], None)
        self.assertEqual(self.live.states()[0].title, "Jobs")

    def test_deep(self) -> None:
        """A document as deep as one may be is written in both forms."""
        tree: object = "end"
        for _ in range(80):
            tree = {"properties": {"a": tree}} if isinstance(tree, dict) else {"const": tree}
        self.says("jobs", document(components={"schemas": {"Deep": tree}}))
        self.live.start()
        self.assertEqual(yaml.safe_load(self.live.yaml), self.shown())

    def test_words_that_yaml_reads_otherwise(self) -> None:
        """Text stays text in YAML, under its older rules too."""
        words = ["yes", "1e3", "0o10", "12:30", "2026-01-01", "~", "a: b", "é\u2028😀", "\x7f", ""]
        self.says("jobs", document(components={"schemas": {"W": {"enum": words}}}))
        self.live.start()
        for tree in (self.shown(), yaml.safe_load(self.live.yaml)):
            self.assertEqual(tree["components"]["schemas"]["JobsW"]["enum"], words)


class LogTests(Case):
    """What the log says, and how often."""

    def test_once(self) -> None:
        """A failure is told when it begins, when it becomes another, and when it is over."""
        self.live.start()
        self.assertEqual(self.logged, [])
        self.fails("jobs", "cannot be reached")
        for _ in range(3):
            self.round()
        self.fails("jobs", "answers 500 where its document should be")
        self.round()
        self.says("jobs", document("Jobs"))
        for _ in range(2):
            self.round()
        self.assertEqual(
            self.logged,
            [
                "OpenAPI: jobs cannot be reached (at 10.1.2.3); its last good document stays",
                "OpenAPI: jobs answers 500 where its document should be (at 10.1.2.3);"
                " its last good document stays",
                "OpenAPI: jobs is well again",
            ],
        )

    def test_findings(self) -> None:
        """What is found in a document is told once, and only so much of it at a time."""
        many = {f"a b {number}": {"type": "string"} for number in range(30)}
        self.says("jobs", document("Jobs", components={"schemas": many}))
        self.live.start()
        self.assertEqual(len(self.logged), 21)
        self.assertEqual(
            self.logged[-1],
            "OpenAPI: jobs: 10 more; toolforge-gateway openapi --check shows all",
        )
        self.says("builds", document("Builds", 4))
        self.round()
        self.assertEqual(len(self.logged), 21)

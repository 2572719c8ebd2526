"""What is observed and what is configured, joined: the backends' documents among it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.clients.stage import ROOT, pki
from tests.observe.exchanges import over
from tests.pages.test_answers import asking, refuse
from toolforge_gateway import config, parts
from toolforge_gateway.deadlines import Deadlines
from toolforge_gateway.observe import catalogue, snapshot
from toolforge_gateway.observe.snapshot import Section
from toolforge_gateway.openapi.live import ApiState
from toolforge_gateway.overview import Overview
from toolforge_gateway.pages.assets import Assets
from toolforge_gateway.pages.frame import Frame
from toolforge_gateway.tls.watch import RotationWatch, Watched

EVIL = "<script>alert(1)</script>"


def document(**said: Any) -> ApiState:
    """The state of the Jobs API's document, all well but for what is said."""
    return ApiState(
        **{
            "api": "jobs",
            "path": "/jobs",
            "title": "Jobs",
            "version": "1.2.3",
            "operations": 7,
            "fetched_at": 1.0,
            "checked_at": None,
            "stale": False,
            "error": None,
            **said,
        }
    )


class OverviewTests(SynchronousTestCase):
    def setUp(self) -> None:
        """The shipped configuration; nothing runs."""
        self.patch(snapshot, "FRESH", 0.0)
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        (folder / "tls").symlink_to(pki())
        shutil.copy(ROOT / "etc" / "gateway.yaml", folder)
        self.clock = Clock()
        self.clock.advance(time.time())
        configuration = config.load(folder / "gateway.yaml")
        loaded = parts.load(configuration, self.clock)
        self.documents: list[ApiState] = []
        self.overview = Overview(self.clock)
        self.overview.adopt(configuration, lambda: self.documents)
        rotation = RotationWatch(Deadlines(self.clock), lambda work: succeed(work()))
        assert loaded.upstream is not None
        rotation.adopt(
            [
                *(Watched("tcp:443", side, lambda: None) for side in loaded.listeners),
                Watched("", loaded.upstream, lambda: None),
            ]
        )
        self.overview.start(dict, bool, rotation)
        frame = Frame(Assets("/docs/assets", refuse))
        self.pages = self.overview.pages(frame, "text", refuse)

    def home(self) -> str:
        body: bytes = self.pages[""].render(asking(accept=b"text/html"))
        return body.decode()

    def rows(self, name: str) -> list[Any]:
        """What a section says."""
        (value,) = [
            each.value for each in self.overview.board.whole().sections if each.name == name
        ]
        return list(value)

    def state(self, name: str) -> Any:
        """How a backend does."""
        (state,) = [row["state"] for row in self.rows("backends") if row["name"] == name]
        return state

    def test_without_documents(self) -> None:
        """Backends that show no document are there by their names."""
        self.assertIn("<bdi>jobs</bdi>", self.home())
        self.assertIn("<code>/jobs/</code>", self.home())

    def test_documents(self) -> None:
        """A document gives title and version, and what is wrong with it."""
        self.documents = [document(stale=True, error="cannot be reached")]
        home = self.home()
        for text in ("<bdi>Jobs</bdi>", "<bdi>1.2.3</bdi>", "<bdi>jobs cannot be reached</bdi>"):
            self.assertIn(text, home)

    def test_no_title(self) -> None:
        """A document without a title, or an empty one, leaves the API its name."""
        for title in (None, ""):
            self.documents = [document(title=title, version=None)]
            self.assertIn("<bdi>jobs</bdi>", self.home())
            self.assertNotIn("version <bdi>", self.home())

    def test_hostile_document(self) -> None:
        """Whatever a document says of itself is text."""
        self.documents = [document(title=EVIL, version=EVIL, error=EVIL)]
        self.assertNotIn("<script>", self.home())

    def test_fetching_is_an_answer(self) -> None:
        """A backend whose document could be fetched is up, though no client has needed it; later
        failures count for more than a fetch before them."""
        self.assertEqual(self.state("jobs-api"), "unknown")
        self.documents = [document(checked_at=self.clock.seconds())]
        self.assertEqual(self.state("jobs-api"), "up")
        self.clock.advance(100)
        for observer in self.overview.observers:
            observer.ended(over(started=self.clock.seconds(), reason="backend-refused", status=502))
        self.assertEqual(self.state("jobs-api"), "failing")
        self.assertEqual(self.state("jobs-api"), "failing")
        self.clock.advance(100)
        self.documents = [document(checked_at=self.clock.seconds())]
        self.assertEqual(self.state("jobs-api"), "up")

    def test_strange_document(self) -> None:
        """A document of a path that no backend has changes nothing."""
        self.documents = [document(path="/nowhere", checked_at=5.0)]
        self.assertEqual(self.state("jobs-api"), "unknown")
        self.assertIn("<bdi>jobs</bdi>", self.home())

    def test_later_work(self) -> None:
        """What later work puts on the board is on the page, and not for everyone."""
        self.overview.board.add(Section("workers", "Workers", lambda: [{"pid": 7, "state": "up"}]))
        frame = Frame(Assets("/docs/assets", refuse))
        whole = self.overview.operators_page(frame, refuse)
        self.assertIn(b"Workers", whole.render(asking(accept=b"text/html")))
        self.assertNotIn(b"Workers", self.pages["status"].render(asking(accept=b"text/html")))
        self.assertNotIn(b"workers", self.pages["status"].render(asking()))

    def test_certificates(self) -> None:
        """As time passes certificates are good, end soon, and have ended."""
        seen = []
        for days in (0, 340, 60):
            self.clock.advance(days * 86400)
            seen.append({row["state"] for row in self.rows("certificates")})
        self.assertEqual(seen, [{"good"}, {"soon"}, {"expired"}])

    def test_files(self) -> None:
        """Each group of files that is watched is told, in its place of the configuration."""
        rows = {row["name"]: row["state"] for row in self.rows("files")}
        self.assertTrue(any(name.startswith("listen[0].tls") for name in rows), rows)
        self.assertTrue(any(name.startswith("upstream_tls") for name in rows), rows)
        self.assertEqual(set(rows.values()), {"good"})

    def test_documents_measured(self) -> None:
        """A document that cannot be had is a measure by its backend's name; one that leads to no
        backend is none."""
        self.documents = [document(error="cannot be reached"), document(path="/nowhere")]
        stale = self.overview.figures().plain(catalogue.API_DOCUMENT_STALE)
        self.assertEqual(stale, {("jobs-api",): 1})

    def test_figures_travel(self) -> None:
        """What this process measures can be sent to another, whole."""
        figures = self.overview.figures()
        self.assertEqual(type(figures).unpack(figures.pack()), figures)

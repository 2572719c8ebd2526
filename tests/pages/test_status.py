"""`/status`: any section is shown, to people and to programs."""

from __future__ import annotations

import json
import re
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from tests.pages.test_answers import asking, refuse, said
from toolforge_gateway.pages.assets import Assets
from toolforge_gateway.pages.frame import Frame
from toolforge_gateway.pages.status import StatusPage, View

NOW = 1_800_000_000.0
EVIL = '"><script>alert(1)</script>'


@attrs.frozen
class Section:
    name: str
    title: str
    value: Any


@attrs.frozen
class Taken:
    taken_at: float
    sections: tuple[Section, ...]


BACKENDS = Section(
    "backends",
    "APIs",
    [
        {"name": "jobs-api", "state": "up", "since_at": NOW - 90, "failures": 0},
        {"name": "builds-api", "state": "failing", "since_at": NOW - 9, "failures": None},
    ],
)
HOUR = Section(
    "last_hour",
    "Last hour",
    {
        "requests": 12345,
        "p99_seconds": 0.2,
        "requests_by_minute": [1, 2, 3],
        "p99_seconds_by_minute": [0.1, None],
    },
)


class StatusTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A page that shows what a test puts up, to who may see all of it."""
        self.sections: tuple[Section, ...] = (BACKENDS, HOUR)
        self.whole = True
        frame = Frame(Assets("/docs/assets", refuse))
        self.page = StatusPage(frame, lambda request: self.view(), refuse)

    def view(self) -> View:
        return View(Taken(NOW, self.sections), self.whole)

    def html(self) -> str:
        return self.page.render(asking(accept=b"text/html")).decode()

    def json(self) -> Any:
        return json.loads(self.page.render(asking()))

    def test_programs(self) -> None:
        """By default it is JSON, each section by its name."""
        request = asking()
        document = json.loads(self.page.render(request))
        self.assertEqual(said(request, "content-type"), b"application/json")
        self.assertEqual(list(document), ["taken_at", "whole", "backends", "last_hour"])
        self.assertEqual(document["taken_at"], "2027-01-15T08:00:00Z")
        self.assertEqual(document["backends"][0]["since_at"], "2027-01-15T07:58:30Z")
        self.assertEqual(document["last_hour"]["p99_seconds_by_minute"], [0.1, None])

    def test_headers(self) -> None:
        """Nobody keeps it, and whoever keeps anything knows that there are two forms."""
        for accept in (b"text/html", b"application/json"):
            for encoding in (b"gzip", b"identity"):
                request = asking(accept=accept, accept_encoding=encoding)
                self.page.render(request)
                self.assertEqual(said(request, "cache-control"), b"no-store")
                self.assertEqual(said(request, "vary"), b"Accept, Accept-Encoding")
                self.assertIsNotNone(said(request, "content-security-policy"))

    def test_head(self) -> None:
        """HEAD has GET's length and no body."""
        for accept in (b"text/html", b"*/*"):
            body = self.page.render(asking(accept=accept))
            request = asking(method=b"HEAD", accept=accept)
            self.assertEqual(self.page.render(request), b"")
            self.assertEqual(said(request, "content-length"), b"%d" % len(body))

    def test_read_only(self) -> None:
        """Nothing can be posted here."""
        request = asking(method=b"POST")
        self.assertEqual(self.page.render(request), b"read-only-page")
        self.assertEqual((request.responseCode, said(request, "allow")), (405, b"GET, HEAD"))

    def test_table(self) -> None:
        """Rows are a table, whose heads say what they head, in a box that keys can scroll."""
        html = self.html()
        self.assertIn('<th scope="col">Name</th>', html)
        self.assertIn('<th scope="col" class="number">Failures</th>', html)
        self.assertIn('<th scope="row">jobs-api</th>', html)
        self.assertRegex(html, r'<div (?=[^>]*tabindex="0")(?=[^>]*role="region")[^>]*>')
        self.assertIn('<span class="badge bad">failing</span>', html)

    def test_facts(self) -> None:
        """Facts are named; courses are drawn, and are there as a table, newest first."""
        html = self.html()
        self.assertIn("<dt>Requests</dt><dd>12\u202f345</dd>", html)
        self.assertIn("<dt>P99</dt><dd>200 ms</dd>", html)
        self.assertEqual(html.count("<svg"), 2)
        rows = re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", html)
        minutes = [re.sub(r"<[^>]+>", " ", row).split() for row in rows if "min ago" in row]
        self.assertEqual(
            minutes,
            [
                ["1", "min", "ago", "3", "\u2013"],
                ["2", "min", "ago", "2", "100", "ms"],
                ["3", "min", "ago", "1", "\u2013"],
            ],
        )

    def test_states_are_marked(self) -> None:
        """The script can tell whose state has changed."""
        self.assertIn('data-state-of="jobs-api"', self.html())
        self.sections = (Section("gateway", "Gateway", {"state": "running"}),)
        self.assertIn('data-state-of="gateway"', self.html())

    def test_what_nobody_thought_of(self) -> None:
        """A section of later work shows up by itself in both forms."""
        self.sections = (
            Section("rate_limits", "Rate limits", [{"tool": "a", "left": 3, "reset_at": NOW}]),
            Section("peers", "Peers", {"names": "a, b", "lag_seconds": 0.5, "ok": True}),
        )
        html, document = self.html(), self.json()
        for text in ("Rate limits", '<th scope="row">a</th>', "<dt>Lag</dt><dd>500 ms</dd>"):
            self.assertIn(text, html)
        self.assertEqual(document["peers"]["ok"], True)

    def test_empty(self) -> None:
        """No section, and sections with nothing in them, make a page all the same."""
        self.sections = ()
        self.assertIn("<h1>Status</h1>", self.html())
        self.sections = (
            Section("a", "A", []),
            Section("b", "B", {}),
            Section("c", "C", {"x_by_minute": []}),
        )
        self.assertIn("None.", self.html())
        self.assertEqual(self.json()["a"], [])

    def test_uneven(self) -> None:
        """Rows without some value, and courses of different lengths, are shown as they are."""
        self.sections = (
            Section("a", "A", [{"name": "x", "n": 1}, {"name": "y"}]),
            Section("b", "B", {"x_by_minute": [1, 2], "y_by_minute": []}),
        )
        self.assertIn('<th scope="row">y</th><td class="number">\u2013</td>', self.html())

    def test_hostile(self) -> None:
        """Names and values from anywhere are text, in attributes too."""
        self.sections = (
            Section("a", EVIL, [{"name": EVIL, "state": EVIL, EVIL: EVIL}]),
            Section("b", EVIL, {"state": EVIL, EVIL: EVIL, f"{EVIL}_by_minute": [1]}),
        )
        html = self.html()
        self.assertNotIn("<script>", html)
        self.assertEqual(len(re.findall(r"<script[ >]", html)), 1, "the page's own")
        self.assertNotIn('"><script', html)

    def test_seldom(self) -> None:
        """However many look at a snapshot, it is put into each form once; and one form is never
        given for another, nor everything to who may see less."""
        view = self.view()
        self.page._view = lambda request: attrs.evolve(view, whole=self.whole)
        made: list[bool] = []
        make = self.page.page
        self.patch(self.page, "page", lambda view: made.append(view.whole) or make(view))
        bodies = {self.html() for _ in range(10)}
        self.assertEqual((len(bodies), made), (1, [True]))
        self.assertEqual(self.json()["whole"], True)
        self.whole = False
        self.assertIn("Administrators see more", self.html())
        self.assertEqual(self.json()["whole"], False)
        self.whole = True
        self.assertNotIn("Administrators see more", self.html())
        self.assertEqual(made, [True, False])

    def test_hour_moves_on(self) -> None:
        """What is kept of the hour is never shown for another hour, or another section's."""
        before = self.html()
        self.sections = (
            Section("last_hour", "Last hour", {"x_by_minute": [7, 8]}),
            Section("other", "Other", {"x_by_minute": [7, 9]}),
        )
        html = self.html()
        self.assertNotEqual(before, html)
        self.assertIn("least 7, most 8", html)
        self.assertIn("least 7, most 9", html)
        self.assertEqual(html.count("<svg"), 2)
        self.sections = (BACKENDS, HOUR)
        self.assertEqual(self.html(), before)

    def test_names_only(self) -> None:
        """Who sees less is told that there is more."""
        self.whole = False
        self.assertIn("Administrators see more", self.html())
        self.assertEqual(self.json()["whole"], False)

    def test_nothing_inline(self) -> None:
        """No script, style or handler is within the page: its policy forbids them."""
        html = self.html()
        self.assertNotRegex(html, r"<style|style=|\son[a-z]+=|javascript:")
        self.assertEqual(
            re.findall(r"<script[^>]*></script>", html),
            re.findall(r"<script.*?>.*?</script>", html),
        )

"""`/status`: how the gateway does, for people and for programs.

It shows whatever sections there are; how, is by the names of their values (`values`).  The page
is whole without a script; with one, `status.js` fetches it again every few seconds and takes over
what has changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.template import Tag, tags

from toolforge_gateway.pages.answers import (
    NO_STORE,
    Content,
    Nothing,
    Refuse,
    content,
    finish,
    refuse_to_change,
    send,
)
from toolforge_gateway.pages.frame import Frame, Kept
from toolforge_gateway.pages.preference import preferred
from toolforge_gateway.pages.sparkline import sparkline
from toolforge_gateway.pages.values import (
    BY_MINUTE,
    clock,
    duration,
    is_number,
    name_of,
    number,
    shown,
    told,
)

JSON, HTML = "application/json", "text/html"
Courses = Mapping[str, Sequence["float | None"]]
"""By name; see `BY_MINUTE`."""

EVERY = 5
"""Seconds between two looks of the page's script."""


class Said(Protocol):
    """What a section says: facts, or rows of them."""

    @property
    def name(self) -> str:
        """What programs call it."""

    @property
    def title(self) -> str:
        """What people call it."""

    @property
    def value(self) -> Mapping[str, Any] | Sequence[Mapping[str, Any]]:
        """Facts, or rows that all have the same names."""


class Snapshot(Protocol):
    """What is said at one moment."""

    @property
    def taken_at(self) -> float:
        """POSIX seconds."""

    @property
    def sections(self) -> Sequence[Said]:
        """In the order in which they are shown."""


@attrs.frozen
class View:
    """What one visitor sees."""

    snapshot: Snapshot
    whole: bool
    """Whether it is everything, or names and states only."""


class StatusPage(Resource):
    """Shows a snapshot: as JSON, or to who prefers it as a page.

    :param view: what the sender of a request may see; a Deferred of it where others have to be
        asked, which does not fail.
    :param refuse: answers a request with a refusal; gives what `render` may.
    """

    def __init__(self, frame: Frame, view: Callable[[Any], View | Deferred[View]], refuse: Refuse):
        super().__init__()
        self._frame = frame
        self._view = view
        self._refuse = refuse
        # Of each kind the latest, with the snapshot that it shows: many may look at once.
        self._latest: dict[tuple[bool, str], tuple[Snapshot, Content]] = {}
        self._hours = _Hours()

    def getChild(self, path: bytes, request: Any) -> Resource:
        """See `Resource`."""
        return Nothing(self._refuse)

    def render(self, request: Any) -> Any:
        """See `Resource`."""
        if request.method not in (b"GET", b"HEAD"):
            return refuse_to_change(request, self._refuse)
        view = self._view(request)
        if isinstance(view, Deferred):
            self._show_later(request, view)
            return NOT_DONE_YET
        return self._show(request, view)

    def _show_later(self, request: Any, view: Deferred[View]) -> None:
        left: list[Failure] = []
        request.notifyFinish().addErrback(left.append)

        def show(found: View) -> None:
            if not left:
                finish(request, self._show(request, found))

        view.addCallback(show).addErrback(request.processingFailed)

    def _show(self, request: Any, view: View) -> bytes:
        form = preferred(request.getHeader(b"accept"), (JSON, HTML))
        shown, what = self._latest.get((view.whole, form), (None, None))
        if what is None or shown is not view.snapshot:
            what = self.page(view) if form == HTML else document(view)
            self._latest[view.whole, form] = view.snapshot, what
        return send(request, what, NO_STORE, negotiated=True)

    def page(self, view: View) -> Content:
        """The page for people."""
        snapshot = view.snapshot
        self._hours.shown.clear()
        sections = [self._section(each, snapshot.taken_at) for each in snapshot.sections]
        return self._frame.page(
            "Status",
            tags.h1("Status"),
            _introduction(view.whole),
            tags.p(id="announcements", class_="unseen", role="status"),
            tags.div(id="trouble", class_="notice warn", hidden="hidden", role="alert"),
            tags.div(id="controls", hidden="hidden", class_="controls"),
            tags.div(
                sections,
                tags.p(
                    "As of ",
                    clock(snapshot.taken_at, seconds=True),
                    ". All of this for programs: ",
                    tags.code("curl -H 'Accept: application/json' \u2026/status"),
                    class_="quiet",
                ),
                id="live",
                **{"data-every": str(EVERY)},
            ),
            here="/status",
            styles=("status.css",),
            scripts=("status.js",),
            kept=self._hours.shown,
        )

    def _section(self, said: Said, now: float) -> Tag:
        body: Any
        if isinstance(said.value, Mapping):
            body = _facts(said.name, said.value, now, self._hours)
        elif said.value:
            body = _table(said.name, said.title, said.value, now)
        else:
            body = tags.p("None.", class_="quiet")
        # No landmark: the tables' boxes are some already, and bear the same names.
        return tags.section(tags.h2(said.title, id=f"section-{said.name}"), body)


class _Hours:
    """Courses of time, flattened when they are new: once a minute, and not for each look."""

    def __init__(self) -> None:
        self.shown: list[Kept] = []
        """Those on the page that is being made."""
        self._latest: dict[str, tuple[Courses, Kept]] = {}

    def mark(self, name: str, courses: Courses) -> str:
        """What stands on the page in the place of a section's courses."""
        known, kept = self._latest.get(name, (None, None))
        if kept is None or known != courses:
            kept = Kept.of(_drawings(courses), _minutes(name, courses))
            self._latest[name] = courses, kept
        self.shown.append(kept)
        return kept.mark


def document(view: View) -> Content:
    """The same for programs."""
    said = {
        "taken_at": told("taken_at", view.snapshot.taken_at),
        "whole": view.whole,
        **{each.name: told("", each.value) for each in view.snapshot.sections},
    }
    return content(json.dumps(said, indent=1, allow_nan=False).encode() + b"\n", JSON)


def _introduction(whole: bool) -> Tag:
    if whole:
        return tags.p("How this gateway and the APIs behind it are doing.", class_="lead")
    return tags.p(
        "How this gateway and the APIs behind it are doing. Administrators see more, with their"
        " certificate.",
        class_="lead",
    )


def _facts(name: str, facts: Mapping[str, Any], now: float, hours: _Hours) -> list[Tag | str]:
    courses = {key: value for key, value in facts.items() if key.endswith(BY_MINUTE)}
    plain = {key: value for key, value in facts.items() if key not in courses}
    # Numbers alone stand side by side, and large.
    figures = all(value is None or is_number(key, value) for key, value in plain.items())
    pairs: list[Any] = [
        [tags.dt(name_of(key)), _marked(tags.dd(shown(key, value, now)), f"{name}.{key}", key)]
        for key, value in plain.items()
    ]
    found: list[Tag | str] = []
    if pairs and figures:
        found.append(tags.dl([tags.div(pair) for pair in pairs], class_="figures"))
    elif pairs:
        found.append(tags.dl(pairs, class_="facts"))
    if courses:
        found.append(hours.mark(name, courses))
    return found


def _drawings(courses: Courses) -> Tag:
    """Each course of time, drawn."""
    return tags.dl(
        [
            tags.div(
                tags.dt(name_of(key.removesuffix(BY_MINUTE))),
                tags.dd(sparkline(name_of(key.removesuffix(BY_MINUTE)), values, _say(key))),
                class_="course",
            )
            for key, values in courses.items()
        ],
        class_="courses",
    )


def _minutes(name: str, courses: Courses) -> Tag:
    """The same numbers to read; the newest minute first."""
    longest = max(map(len, courses.values()))
    if not longest:
        return tags.p("The first minute is not over yet.", class_="quiet")
    rows = [
        tags.tr(
            tags.th(f"{ago + 1} min ago", scope="row"),
            [
                tags.td(
                    "\u2013"
                    if len(values) <= ago or values[-1 - ago] is None
                    else _say(key)(values[-1 - ago] or 0),
                    class_="number",
                )
                for key, values in courses.items()
            ],
        )
        for ago in range(longest)
    ]
    heads = [
        tags.th(name_of(key.removesuffix(BY_MINUTE)), scope="col", class_="number")
        for key in courses
    ]
    return tags.details(
        tags.summary("The same as a table"),
        tags.div(
            tags.table(tags.thead(tags.tr(tags.th("Began", scope="col"), heads)), tags.tbody(rows)),
            class_="wide",
            tabindex="0",
            role="region",
            **{"aria-label": f"{name_of(name)} by minute"},
        ),
        id=f"minutes-{name}",
    )


def _say(key: str) -> Callable[[float], str]:
    return duration if "_seconds_" in key else number


def _table(name: str, title: str, rows: Sequence[Mapping[str, Any]], now: float) -> Tag:
    keys = list(rows[0])
    numbers = {
        key
        for key in keys
        if all(row.get(key) is None or is_number(key, row[key]) for row in rows)
        and any(row.get(key) is not None for row in rows)
    }
    heads = [
        tags.th(name_of(key), scope="col", **({"class": "number"} if key in numbers else {}))
        for key in keys
    ]
    body = []
    for row in rows:
        first, *others = keys
        who = str(row[first])
        cells = [tags.th(shown(first, row[first], now), scope="row")]
        for key in others:
            cell = tags.td(shown(key, row.get(key), now))
            if key in numbers:
                cell(class_="number")
            cells.append(_marked(cell, f"{name}.{who}.{key}", key, who))
        body.append(tags.tr(cells))
    return tags.div(
        tags.table(tags.thead(tags.tr(heads)), tags.tbody(body)),
        class_="wide",
        tabindex="0",
        role="region",
        **{"aria-label": title},
    )


def _marked(cell: Tag, where: str, key: str, who: str = "") -> Tag:
    """A state says where it is and whose, so that the script can tell of its changes."""
    if key == "state":
        cell(**{"data-state-of": who or where.partition(".")[0], "data-where": where})
    return cell

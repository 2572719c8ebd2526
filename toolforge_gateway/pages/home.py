"""`/`: what this is, which APIs there are, and who you are; plain text unless HTML is preferred."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

import attrs
from twisted.web.resource import Resource
from twisted.web.template import Tag, tags

from toolforge_gateway.pages.answers import (
    NO_STORE,
    Content,
    Nothing,
    Refuse,
    refuse_to_change,
    send,
)
from toolforge_gateway.pages.frame import Frame
from toolforge_gateway.pages.preference import preferred
from toolforge_gateway.pages.values import moment, shown

TEXT, HTML = "text/plain", "text/html"

SOON = 30
"""Days before its end from which a certificate's owner is warned."""
_DAY = 86400
_HERE = "\u2026"
_AUTHORITY = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")


@attrs.frozen
class Api:
    """One API.  Texts may be anything: they come from the backends' own documents."""

    path: str
    """External, without a slash at its end."""
    title: str
    version: str | None
    state: str
    documented_as: str | None = None
    """What `/docs` and `/openapi.json` call it; None: they do not have it."""
    note: str | None = None
    """What else there is to say of it; a sentence."""


@attrs.frozen
class Guest:
    """Who asks.  Texts may be anything: they come from certificates."""

    kind: str
    """A `model.Kind` by its value."""
    name: str
    subject: str | None
    """The DN of the client certificate; None: there is none."""
    ends: float | None
    """POSIX seconds."""


class HomePage(Resource):
    """The page.

    :param apis: told for each request.
    :param guest: who has sent a request.
    :param text: the page for a terminal.
    :param refuse: answers what is no GET or HEAD.
    :param now: POSIX seconds.
    """

    def __init__(
        self,
        frame: Frame,
        apis: Callable[[], Sequence[Api]],
        guest: Callable[[Any], Guest],
        text: str,
        now: Callable[[], float],
        refuse: Refuse,
    ):
        super().__init__()
        self._frame = frame
        self._apis = apis
        self._guest = guest
        # Short, and as it always was: neither compressed nor with a page's headers.
        self._text = text.encode()
        self._now = now
        self._refuse = refuse

    def getChild(self, path: bytes, request: Any) -> Resource:
        """See `Resource`."""
        return Nothing(self._refuse)

    def render(self, request: Any) -> Any:
        """See `Resource`."""
        if request.method not in (b"GET", b"HEAD"):
            return refuse_to_change(request, self._refuse)
        if preferred(request.getHeader(b"accept"), (TEXT, HTML)) == TEXT:
            return self._plain(request)
        return send(
            request, self.page(self._guest(request), _here(request)), NO_STORE, negotiated=True
        )

    def page(self, guest: Guest, here: str = _HERE) -> Content:
        """The page for people.

        :param here: the authority that the visitor knows us by.
        """
        now, apis = self._now(), self._apis()
        return self._frame.page(
            "Toolforge API",
            tags.h1("Toolforge API"),
            tags.p(
                "One address for the APIs of Toolforge. Tools call them with their client"
                " certificate, from wherever they run.",
                class_="lead",
            ),
            _warning(guest, now),
            _apis(apis, now),
            _you(guest, here, now),
            _places(any(each.documented_as is not None for each in apis)),
            here="/",
            styles=("home.css",),
        )

    def _plain(self, request: Any) -> bytes:
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        request.setHeader(b"cache-control", b"no-store")
        request.setHeader(b"x-content-type-options", b"nosniff")
        request.setHeader(b"vary", b"Accept")
        if request.method == b"HEAD":
            request.setHeader(b"content-length", b"%d" % len(self._text))
            return b""
        return self._text


def days_left(ends: float, now: float) -> int:
    """Whole days until a moment; below 0 when it is over."""
    return math.floor((ends - now) / _DAY)


def _warning(guest: Guest, now: float) -> Tag | str:
    """What must be seen first."""
    if guest.ends is None:
        return ""
    left = days_left(guest.ends, now)
    if left > SOON:
        return ""
    if left < 0:
        what = "has run out"
    elif left == 0:
        what = "runs out within a day"
    else:
        what = f"runs out in {left} day{'s' if left > 1 else ''}"
    return tags.div(
        tags.p(
            tags.strong(f"Your certificate {what}."),
            " Toolforge renews the certificates of tools by itself: take the one that is in the"
            " tool's home now, and tell the Toolforge admins if it is still this one.",
        ),
        class_="notice warn" if left >= 0 else "notice bad",
        role="note",
    )


def _apis(apis: Sequence[Api], now: float) -> Tag:
    if not apis:
        body: Any = tags.p("None so far.", class_="quiet")
    else:
        body = tags.ul([_api(each, now) for each in apis], class_="cards apis")
    return tags.section(tags.h2("APIs", id="apis"), body, **{"aria-labelledby": "apis"})


def _api(api: Api, now: float) -> Tag:
    title: Tag = bdi(api.title)
    if api.documented_as is not None:
        title = tags.a(title, href=f"/docs?{urlencode({'api': api.documented_as})}")
    return tags.li(
        tags.h3(title, " ", shown("state", api.state, now)),
        tags.p(
            tags.code(f"{api.path}/"),
            [" ", tags.span("version ", bdi(api.version), class_="quiet")] if api.version else "",
        ),
        tags.p(bdi(api.note), class_="quiet") if api.note else "",
        class_="card",
    )


def _here(request: Any) -> str:
    """The authority that the visitor knows us by, where it is one and nothing else."""
    host = (request.getHeader(b"host") or b"").decode("latin-1")
    return host if _AUTHORITY.fullmatch(host) else _HERE


def _you(guest: Guest, here: str, now: float) -> Tag:
    return tags.section(
        tags.h2("You", id="you"),
        _someone(guest, now) if guest.subject is not None else _nobody(here),
        **{"aria-labelledby": "you"},
    )


_WHO = {
    "tool": "the tool",
    "admin": "the administrator",
    "service": "the service",
}


def _someone(guest: Guest, now: float) -> list[Tag]:
    who = _WHO.get(guest.kind)
    if who is not None:
        sentence = tags.p(
            "Your browser has shown a certificate: you are ",
            who,
            " ",
            tags.strong(bdi(guest.name)),
            ".",
        )
    else:
        sentence = tags.p(
            "Your browser has shown a certificate that is good, but stands for nobody whom this"
            " gateway knows. You are treated as anyone else."
        )
    facts: list[tuple[str, Any]] = [("Subject", tags.code(bdi(guest.subject or "")))]
    if who is not None:
        facts.insert(0, ("Kind", guest.kind))
    if guest.ends is not None:
        facts.append(("Valid until", moment(guest.ends, now)))
    return [
        sentence,
        tags.dl([(tags.dt(name), tags.dd(value)) for name, value in facts], class_="facts"),
        tags.p(tags.a("What you may call", href="/whoami"), " (JSON)"),
    ]


def _nobody(here: str) -> list[Tag]:
    return [
        tags.p(
            "Your browser has shown no client certificate, and that is fine for reading here."
            " To call the APIs as a tool, use the certificate in the tool's home, for example on a"
            " bastion:"
        ),
        tags.pre(
            tags.code(
                "become mytool\n"
                "curl --cert ~/.toolskube/client.crt --key ~/.toolskube/client.key \\\n"
                f"    https://{here}/whoami"
            ),
            tabindex="0",
        ),
        tags.p(
            "A tool's certificate is made with the tool. There is nothing to apply for; if the"
            " files are not there some minutes after the tool was made, tell the Toolforge admins.",
            class_="quiet",
        ),
    ]


def _places(documented: bool) -> Tag:
    places = [("/status", "Status", "how the APIs are doing")]
    if documented:
        places = [
            ("/docs", "Documentation", "every operation of every API, with lines to copy"),
            ("/openapi.json", "OpenAPI document", "the same for programs and client generators"),
            *places,
        ]
    return tags.section(
        tags.h2("From here", id="places"),
        tags.ul([tags.li(tags.a(name, href=path), f": {what}") for path, name, what in places]),
        **{"aria-labelledby": "places"},
    )


def bdi(text: Any) -> Tag:
    """Text of others, whose writing direction ends where it ends (HTML, 4.5.24)."""
    return Tag("bdi")(text)

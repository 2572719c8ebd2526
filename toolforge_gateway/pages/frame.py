"""What every page looks like: header, navigation, a place for its content, footer."""

from __future__ import annotations

from collections.abc import Sequence
from secrets import token_hex
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.web.template import Tag, flattenString, tags

from toolforge_gateway._version import __version__
from toolforge_gateway.pages.answers import Content, content
from toolforge_gateway.pages.assets import Assets

HTML = "text/html; charset=utf-8"

PLACES = (("/", "APIs"), ("/docs", "Documentation"), ("/status", "Status"))
"""The pages that every page leads to, with their names."""


@attrs.frozen
class Kept:
    """A part of pages that is flattened once, for flattening takes its time.

    In a page's body stands its `mark`, as text; what a visitor or a backend says cannot be the
    same.
    """

    markup: bytes = attrs.field(repr=False)
    mark: str = attrs.field(factory=lambda: token_hex(16), init=False)

    @classmethod
    def of(cls, *what: Any) -> Kept:
        """Flatten tags and text, now."""
        return cls(flat(what))


@attrs.frozen
class Frame:
    """Makes pages.

    :param assets: where they find their style sheet and scripts.
    :param places: paths and names for the navigation; the first one is where the name leads.
    """

    assets: Assets
    places: Sequence[tuple[str, str]] = PLACES

    def page(
        self,
        title: str,
        *body: Any,
        here: str = "",
        styles: Sequence[str] = (),
        scripts: Sequence[str] = (),
        kept: Sequence[Kept] = (),
    ) -> Content:
        """A whole page.

        :param title: what its tab is called; its `h1` is for the body to give.
        :param body: what `twisted.web.template` can flatten without waiting: tags and text;
            text is escaped.
        :param here: the page's path, if the navigation has it.
        :param styles: names of style sheets besides the common one.
        :param scripts: names of modules to run.
        :param kept: what stands in the body by its marks.
        """
        links = [
            tags.link(rel="stylesheet", href=self.assets.url(name))
            for name in ("style.css", *styles)
        ]
        modules = [tags.script(type="module", src=self.assets.url(name)) for name in scripts]
        whole = tags.html(
            tags.head(
                tags.meta(charset="utf-8"),
                tags.meta(name="viewport", content="width=device-width, initial-scale=1"),
                tags.meta(name="color-scheme", content="light dark"),
                tags.title(f"{title} · Toolforge API"),
                tags.link(rel="icon", type="image/svg+xml", href=self.assets.url("icon.svg")),
                links,
                modules,
            ),
            tags.body(
                tags.a("Skip to the content", href="#content", class_="skip"),
                self._masthead(here),
                Tag("main")(*body, id="content", tabindex="-1"),
                self._colophon(),
            ),
            lang="en",
        )
        markup = flat(whole)
        for each in kept:
            markup = markup.replace(each.mark.encode(), each.markup)
        return content(b"<!DOCTYPE html>\n" + markup, HTML)

    def _masthead(self, here: str) -> Tag:
        entries = []
        for path, name in self.places:
            link = tags.a(name, href=path)
            if path == here:
                link(**{"aria-current": "page"})
            entries.append(tags.li(link))
        navigation = tags.nav(tags.ul(entries), **{"aria-label": "Main"})
        brand = tags.a("Toolforge API", href=self.places[0][0], class_="brand")
        return tags.header(tags.div(brand, navigation, class_="masthead-inner"), class_="masthead")

    def _colophon(self) -> Tag:
        # The operations port has neither the documentation nor what it is made of.
        documented = any(path == "/docs" for path, _ in self.places)
        return tags.footer(
            tags.div(
                tags.p(f"Toolforge API gateway {__version__}"),
                tags.p(tags.a("OpenAPI document", href="/openapi.json")) if documented else "",
                class_="colophon-inner",
            ),
            class_="colophon",
        )


def flat(what: Any) -> bytes:
    """Flatten, at once.

    :raise Exception: whatever is wrong with it.
    :raise ValueError: it has something to wait for in it.
    """
    done: Deferred[bytes] = flattenString(None, what)
    results: list[bytes] = []
    failures: list[Any] = []
    done.addCallbacks(results.append, failures.append)
    if failures:
        failures[0].raiseException()
    if not results:
        raise ValueError("a page cannot wait for its parts")
    return results[0]

"""What a walk through a backend's document leaves behind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal
from urllib.parse import urldefrag, urljoin, urlsplit

import attrs

from toolforge_gateway.openapi.part import Finding
from toolforge_gateway.openapi.pointer import Place, place_of, pointer

HOME = "http://document.invalid/openapi"
"""What a document is called whose own address does not matter."""
LONGEST = 300
"""Characters of what is said of one thing; the rest of an author's text is cut off."""
MOST = 1000
"""Findings of one document; who has so many reads no further."""


@attrs.define(eq=False)
class Link:
    """A place that names another one."""

    holder: dict[str, Any]
    """In the new tree; what `key` stands for there is written anew once all places are known."""
    key: str
    at: Place
    """In the source."""
    kind: str
    """What must be at the other end."""
    text: str
    base: str
    """The URI of the schema resource it is in."""
    bare: bool = False
    """Whether a bare word is the name of a component, as in a discriminator."""
    target: Place | None = None
    """In the source, once it is known."""


@attrs.define(eq=False)
class Operation:
    """An operation, wherever it is."""

    at: Place
    """In the source."""
    tree: dict[str, Any]
    item: dict[str, Any]
    """The path item it is in."""
    path: str | None
    """None: of a callback, a webhook or a component, which the backend calls."""

    @property
    def method(self) -> str:
        """In lower case."""
        return self.at[-1]


@attrs.define(eq=False)
class Record:
    """What was found on the way.

    :param document: as `plain` gives it; parts of it become parts of the result.
    :param old: whether it is OpenAPI 3.0.
    """

    api: str
    document: dict[str, Any]
    old: bool
    findings: list[Finding] = attrs.Factory(list)
    kinds: dict[Place, str] = attrs.Factory(dict)
    """What stands at a place of the source."""
    trees: dict[Place, Any] = attrs.Factory(dict)
    """What has come of it: of schemas, and of all that can be referred to."""
    links: list[Link] = attrs.Factory(list)
    shifts: dict[Place, Place] = attrs.Factory(dict)
    """Places whose last step is another in the result: what stands for it there."""
    operations: list[Operation] = attrs.Factory(list)
    discriminators: list[tuple[Place, dict[str, Any]]] = attrs.Factory(list)
    """The schemas that have one."""
    defaults: list[tuple[Place, dict[str, Any]]] = attrs.Factory(list)
    """The schemas that have one."""
    resources: dict[str, Place] = attrs.Factory(lambda: {HOME: ()})
    """The URIs of schemas that have one."""
    anchors: dict[tuple[str, str], Place] = attrs.Factory(dict)
    """By URI of the resource, and name."""
    dynamic: dict[str, list[Place]] = attrs.Factory(dict)
    """$dynamicAnchor by name."""
    base: str = HOME
    """The URI of the schema resource that the walk is in."""

    def error(self, at: Iterable[str], what: str, remedy: str) -> None:
        """Keep the API out."""
        self._find("error", at, what, remedy)

    def warn(self, at: Iterable[str], what: str, remedy: str) -> None:
        """Say what was changed."""
        self._find("warning", at, what, remedy)

    def _find(
        self, level: Literal["error", "warning"], at: Iterable[str], what: str, remedy: str
    ) -> None:
        words = what if len(what) <= LONGEST else what[:LONGEST] + "..."
        words = words if words.isprintable() else ascii(words)[1:-1]
        finding = Finding(self.api, pointer(at), level, words, remedy)
        known = len(self.findings)
        if known >= MOST and (level == "warning" or self.findings[-1].level == "error"):
            return
        if finding not in self.findings[-100:]:
            self.findings.append(finding)

    def members(self, value: Any, at: Place) -> list[tuple[str, Any]]:
        """The members of what must be an object."""
        if isinstance(value, dict):
            return list(value.items())
        self.error(at, "is no object", "write an object")
        return []

    def link(self, holder: dict[str, Any], key: str, at: Place, kind: str, text: str) -> Link:
        """Note that something in the new tree names a place."""
        link = Link(holder, key, at, kind, text, self.base)
        holder[key] = text
        self.links.append(link)
        return link

    def note(
        self, holder: dict[str, Any], key: str, at: Place, kind: str, text: Any, bare: bool = False
    ) -> None:
        """The same of what an author wrote, which need not even be text."""
        if not isinstance(text, str):
            self.error(at, "is no text", "write #/components/...")
            return
        self.link(holder, key, at, kind, text).bare = bare

    def place(self, text: str, base: str) -> Place | None:
        """The place a reference names in this document; None if it is in another one."""
        if text.startswith("#"):  # nearly all do
            uri, fragment = base, text[1:]
        else:
            uri, fragment = urldefrag(urljoin_safe(base, text))
        root = self.resources.get(uri)
        if root is None:
            return None
        place = place_of(fragment)
        if place is None:
            return self.anchors.get((uri, fragment))
        return root + place


def article(kind: str) -> str:
    """`an operation`, `a response`."""
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def urljoin_safe(base: str, text: str) -> str:
    """`urljoin`, and what is no URL leads nowhere."""
    try:
        return urljoin(base, text)
    except ValueError:
        return "invalid:"


def urlsplit_safe(text: str) -> str:
    """The scheme or host of a URL; "" when it has none."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return "invalid"
    return parts.scheme or parts.netloc

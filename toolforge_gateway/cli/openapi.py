"""`toolforge-gateway openapi`: the document of all APIs, or what is wrong with its parts.

From the live backends of a configuration, from files, or from both: a developer of a backend can
have a file looked at with nothing running.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred

from toolforge_gateway import config, parts
from toolforge_gateway._version import __version__
from toolforge_gateway.aggregate import settings_of, sources_of
from toolforge_gateway.errors import GatewayError
from toolforge_gateway.openapi.fetch import CannotFetch, Fetched, Source, fetch
from toolforge_gateway.openapi.grammar import METHODS
from toolforge_gateway.openapi.merge import merge
from toolforge_gateway.openapi.part import Finding, Merged, Part, Settings
from toolforge_gateway.openapi.read import Unreadable, read
from toolforge_gateway.openapi.write import as_yaml


class Unusable(GatewayError):
    """The question cannot be asked; says why."""


@attrs.frozen
class Question:
    """Which documents to look at."""

    config: Path | None = None
    """None: only files, with nothing known of the gateway."""
    files: tuple[tuple[str, Path], ...] = ()
    """(API, file) pairs; a file takes the place of what the backend publishes."""


@attrs.frozen
class Looked:
    """What became of one API's document."""

    api: str
    prefix: str
    base_path: str = ""
    document: Any = None
    """None: there is none to be had."""
    problem: str = ""
    """Why; goes on from the API's name."""


@attrs.frozen
class Outcome:
    """The merged document, and what is known of each part."""

    looked: tuple[Looked, ...]
    merged: Merged

    @property
    def whole(self) -> bool:
        """Whether every API is in the document."""
        return not self.merged.left_out and not any(each.problem for each in self.looked)

    def document(self, as_yaml_text: bool) -> str:
        """The merged document, to be printed."""
        if as_yaml_text:
            return as_yaml(self.merged.document).decode("utf-8")
        return json.dumps(self.merged.document, indent=2, ensure_ascii=False) + "\n"

    def complaints(self) -> Iterator[str]:
        """Lines on what is wrong, for somebody who wants the document."""
        for each in self.looked:
            if each.problem:
                yield f"error: {each.api} {each.problem}"
        yield from map(str, self.merged.findings)

    def report(self) -> Iterator[str]:
        """Lines on every API, for its developers."""
        for each in self.looked:
            own = [found for found in self.merged.findings if found.api == each.api]
            yield f"{each.api} ({each.prefix}): {self._state(each, own)}"
            for found in own:
                yield f"  {found.level}: {found.place}: {found.what}"
                if found.remedy:
                    yield f"    {found.remedy}"
        left_out = sum(bool(each.problem) for each in self.looked) + len(self.merged.left_out)
        yield f"{_many(len(self.looked), 'API')}, {left_out or 'none'} left out"

    def _state(self, looked: Looked, own: Sequence[Finding]) -> str:
        if looked.problem:
            return f"left out: it {looked.problem}"
        warnings = sum(found.level == "warning" for found in own)
        counted = [_many(len(own) - warnings, "error")] if len(own) > warnings else []
        counted += [_many(warnings, "warning")] if warnings else []
        found = " and ".join(counted) or "fine"
        if looked.api in self.merged.left_out:
            return f"left out: {found}"
        count = sum(
            method in item
            for path, item in self.merged.document["paths"].items()
            if path == looked.prefix or path.startswith(looked.prefix + "/")
            for method in METHODS
        )
        return f"{_many(count, 'operation')}, {found}"


def look(
    question: Question,
    reactor: Any,
    fetch: Callable[[Any, Source], Deferred[Fetched | None]] = fetch,
) -> Deferred[Outcome]:
    """Get all documents, in parallel, and merge them.

    :return: has fired already when nothing must be fetched.
    :raise ConfigurationError: by the Deferred, with all complaints.
    :raise Unusable: by the Deferred.
    """
    return ensureDeferred(_look(question, reactor, fetch))


async def _look(
    question: Question, reactor: Any, fetch: Callable[[Any, Source], Deferred[Fetched | None]]
) -> Outcome:
    files = _files(question.files)
    if question.config is None:
        if not files:
            raise Unusable("give --config, or --part API=FILE")
        looked = [_read(api, f"/{api}", "", data) for api, data in files.items()]
        return _outcome(looked, Settings("APIs", __version__))
    configuration = config.load(question.config)
    loaded = parts.load(configuration, reactor)
    sources = sources_of(configuration, loaded.upstream)
    places = {each.api: (each.path, each.url.base_path) for each in configuration.backends}
    strange = sorted(files.keys() - places.keys())
    if strange:
        known = ", ".join(filter(None, places))
        raise Unusable(f"{question.config} has no API {', '.join(strange)}; it has {known}")
    asked = [source for source in sources if source.api not in files]
    answers = await DeferredList([fetch(reactor, source) for source in asked], consumeErrors=True)
    found = {
        source.api: _fetched(source, good, answer)
        for source, (good, answer) in zip(asked, answers, strict=True)
    }
    for api, data in files.items():
        found[api] = _read(api, *places[api], data)
    # In the order of the file, as the running gateway has them.
    looked = [found[api] for api in places if api in found]
    return _outcome(looked, settings_of(configuration, loaded.chain))


def _files(files: tuple[tuple[str, Path], ...]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for api, path in files:
        if api in found:
            raise Unusable(f"{api} is given twice")
        try:
            found[api] = path.read_bytes()
        except OSError as error:
            raise Unusable(f"{path} cannot be read: {error.strerror}") from None
    return found


def _read(api: str, prefix: str, base_path: str, data: bytes, media_type: str = "") -> Looked:
    try:
        return Looked(api, prefix, base_path, read(data, media_type))
    except Unreadable as error:
        return Looked(api, prefix, base_path, problem=f"has a document that {error}")


def _fetched(source: Source, good: bool, answer: Any) -> Looked:
    if good:
        return _read(
            source.api, source.prefix, source.url.base_path, answer.data, answer.media_type
        )
    why = answer.value
    detail = why.detail if isinstance(why, CannotFetch) else why
    sentence = why.sentence if isinstance(why, CannotFetch) else "could not be asked"
    # On a terminal of those who run the gateway, so with all that is known.
    problem = f"{sentence} ({detail})" if detail else sentence
    return Looked(source.api, source.prefix, problem=problem)


def _outcome(looked: Sequence[Looked], settings: Settings) -> Outcome:
    given = [
        Part(each.api, each.prefix, each.document, each.base_path)
        for each in looked
        if not each.problem
    ]
    return Outcome(tuple(looked), merge(given, settings))


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"

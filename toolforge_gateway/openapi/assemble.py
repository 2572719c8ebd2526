"""From what was fetched to the bytes that are served.  No reactor: it runs in a thread."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import attrs
from twisted.logger import Logger

from toolforge_gateway.openapi.fetch import Fetched, Source
from toolforge_gateway.openapi.merge import merge
from toolforge_gateway.openapi.part import Finding, Merged, Part, Settings
from toolforge_gateway.openapi.read import Unreadable, read
from toolforge_gateway.openapi.write import as_json, as_yaml

log = Logger()
T = TypeVar("T")

JSON = "application/json"
YAML = "application/yaml"
"""RFC 9512."""
EXTENSION = "x-toolforge-gateway"
LONGEST_ERROR = 300
"""Characters of an error that the document carries."""

_METHODS = frozenset(["get", "put", "post", "delete", "options", "head", "patch", "trace"])
_TREES = (RecursionError, MemoryError)


@attrs.frozen
class Account:
    """What is known of one API's document; each look gives a new one."""

    source: Source
    etag: str | None = None
    """Of the document that was seen last, good or not."""
    digest: bytes | None = None
    """Of the same."""
    checked_at: float | None = None
    """When it was seen last; POSIX time."""
    unread: Fetched | None = None
    """It, until somebody has looked into it."""
    problem: str | None = None
    """Why it is not shown; None: it is."""
    good: Mapping[str, Any] | None = None
    """The document that is shown."""
    good_since: float | None = None
    """When that was first seen; POSIX time."""
    operations: int = 0
    """How many that has."""
    fault: str | None = None
    """Why the last look saw no document at all."""
    fault_detail: object = attrs.field(default=None, eq=False)
    """The same for the log."""

    @property
    def error(self) -> str | None:
        """Why the last look gave nothing to show; None: it did."""
        return self.fault or self.problem

    @property
    def stale(self) -> bool:
        """Whether what is shown is not what the backend has now, as far as we know."""
        return self.error is not None or self.checked_at is None

    def fetched(self, fetched: Fetched | None, now: float) -> Account:
        """The account after the backend has answered; None: with what it had before."""
        account = attrs.evolve(self, fault=None, fault_detail=None, checked_at=now)
        if fetched is None:
            return account
        digest = hashlib.sha256(fetched.media_type.encode() + b"\0" + fetched.data).digest()
        account = attrs.evolve(account, etag=fetched.etag)
        if digest == self.digest:
            return account
        return attrs.evolve(account, digest=digest, unread=fetched)


@attrs.frozen
class Shown(Generic[T]):
    """What a round has come to."""

    accounts: tuple[Account, ...]
    findings: tuple[Finding, ...]
    json: T | None
    """None only when nothing could be made of it; what was there before stays."""
    yaml: T | None


def assemble(
    accounts: Iterable[Account],
    settings: Settings,
    now: float,
    pack: Callable[[bytes, str], T],
) -> Shown[T]:
    """Read what is new, merge all that is good, and write it.

    :param now: POSIX time at which what is new was fetched.
    :param pack: makes of bytes and their media type what is kept.
    """
    before = {each.source.api: each for each in accounts}
    tried = {api: _read(account, now) for api, account in before.items()}
    merged, tried = _merge(tried, before, settings)
    findings = merged.findings
    while merged.left_out:
        # A new document that is no good gives way to the last one that was, and that, should it
        # be no good among its new neighbours, to nothing.
        tried = {
            api: _give_way(account, before[api], merged) if api in merged.left_out else account
            for api, account in tried.items()
        }
        merged, tried = _merge(tried, before, settings)
    document = _with_states(merged.document, tried.values())
    return Shown(
        tuple(tried.values()),
        findings,
        pack(as_json(document), JSON),
        pack(as_yaml(document), YAML),
    )


def _read(account: Account, now: float) -> Account:
    if account.unread is None:
        return account
    new = attrs.evolve(account, unread=None)
    try:
        document = read(account.unread.data, account.unread.media_type)
    except Unreadable as wrong:
        return attrs.evolve(new, problem=_short(f"has a document that cannot be read: {wrong}"))
    except _TREES:
        return attrs.evolve(new, problem="has a document that is nested too deeply")
    if account.good is not None and document == account.good:
        # The same in other words, or back after something else: nothing new to see.
        return attrs.evolve(new, problem=None)
    return attrs.evolve(
        new, problem=None, good=document, good_since=now, operations=_operations(document)
    )


def _operations(document: Mapping[str, Any]) -> int:
    paths = document.get("paths")
    items = paths.values() if isinstance(paths, Mapping) else ()
    return sum(len(_METHODS & item.keys()) for item in items if isinstance(item, Mapping))


def _give_way(tried: Account, before: Account, merged: Merged) -> Account:
    """The account of an API that the merge left out."""
    wrong = [
        each for each in merged.findings if each.api == tried.source.api and each.level == "error"
    ]
    what = f"{wrong[0].location or 'it'}: {wrong[0].what}" if wrong else "it is not valid"
    return _fall_back(tried, before, _short(f"has a document that cannot be used: {what}"))


def _fall_back(tried: Account, before: Account, problem: str) -> Account:
    good = before.good if before.good is not tried.good else None
    return attrs.evolve(
        tried,
        problem=problem,
        good=good,
        good_since=before.good_since if good is not None else None,
        operations=before.operations if good is not None else 0,
    )


def _merge(
    tried: dict[str, Account], before: dict[str, Account], settings: Settings
) -> tuple[Merged, dict[str, Account]]:
    """Merge; whoever's document makes that impossible is left out."""
    try:
        return _merge_all(tried.values(), settings), tried
    except Exception:
        log.failure("OpenAPI: the documents cannot be merged; each is tried by itself")
    kept = {}
    for api, account in tried.items():
        try:
            _merge_all([account], settings)
        except Exception:
            kept[api] = _fall_back(account, before[api], "has a document that cannot be merged")
        else:
            kept[api] = account
    return _merge_all(kept.values(), settings), kept


def _merge_all(accounts: Iterable[Account], settings: Settings) -> Merged:
    merged = merge(
        [
            Part(
                each.source.api,
                each.source.prefix,
                each.good,
                each.source.url.base_path,
            )
            for each in accounts
            if each.good is not None
        ],
        settings,
    )
    as_json(merged.document)  # what cannot be written must be found here, where it has a culprit
    return merged


def _with_states(document: dict[str, Any], accounts: Iterable[Account]) -> dict[str, Any]:
    """The document with what is known of each fetch."""
    known = document.get(EXTENSION, {})
    states = {
        each.source.api: {
            **known.get(each.source.api, {}),
            "fetched_at": None if each.good_since is None else _rfc3339(each.good_since),
            "stale": each.stale,
            "error": each.error,
        }
        for each in accounts
    }
    return {**document, EXTENSION: states}


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _short(sentence: str) -> str:
    line = "".join(c if c.isprintable() else " " for c in sentence)
    return line if len(line) <= LONGEST_ERROR else line[: LONGEST_ERROR - 1] + "…"

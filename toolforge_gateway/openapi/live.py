"""The document of all APIs as it is now: fetched again and again, never worse than it was.

Whatever a backend does, the others' parts stay, and so does its own last good one.  All the work
on documents (reading, merging, writing) is done in a thread, and only when something has changed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import attrs
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from toolforge_gateway.openapi.assemble import Account, Shown, assemble
from toolforge_gateway.openapi.fetch import CannotFetch, Fetched, Source
from toolforge_gateway.openapi.part import Finding, Settings

log = Logger()
T = TypeVar("T")
Offload = Callable[[Callable[[], Any]], Deferred[Any]]
Fetch = Callable[[Source, "str | None"], "Deferred[Fetched | None]"]

SPREAD = 0.1
"""Share of `refresh` by which a round may come earlier or later, so that several gateways that
were started together do not ask together for ever."""
MOST_FINDINGS = 20
"""That are written to the log for one API at a time."""


@attrs.frozen
class ApiState:
    """What is known of one API, for pages."""

    api: str
    path: str
    """The external prefix, `/builds`."""
    title: str | None
    """Of the document that is shown; None as long as there is none, or it has none."""
    version: str | None
    """Likewise."""
    operations: int
    """How many the document that is shown has."""
    fetched_at: float | None
    """POSIX time at which what is shown was first seen; None: nothing is shown."""
    checked_at: float | None
    """POSIX time at which the backend last answered with a document, be it the same one."""
    stale: bool
    """Whether the last look at the backend gave nothing that could be shown.  True with an
    error, and before the first look has ended."""
    error: str | None
    """Why; goes on from the API's name, and is fit for everybody."""


class LiveDocument(Generic[T]):
    """The aggregated document, kept up to date while it runs.

    :param sources: one for each API, in the order of the document.
    :param settings: for the merge.
    :param refresh: seconds between two rounds.
    :param clock: its `seconds()` are POSIX time.
    :param fetch: fetches one document; fails with `CannotFetch`.
    :param offload: runs a function elsewhere than on the reactor's thread.
    :param pack: makes of bytes and their media type what is kept for those who ask.
    :param spread: gives a number between its arguments.
    :ivar refresh: as the parameter; a change counts from the next round on.
    :ivar json: the document as JSON, packed; None until the first round has ended.
    :ivar yaml: the same as YAML.
    """

    def __init__(
        self,
        sources: tuple[Source, ...],
        settings: Settings,
        refresh: float,
        clock: IReactorTime,
        fetch: Fetch,
        offload: Offload,
        pack: Callable[[bytes, str], T],
        spread: Callable[[float, float], float] = random.uniform,
    ):
        self.json: T | None = None
        self.yaml: T | None = None
        self._settings = settings
        self.refresh = refresh
        self._clock = clock
        self._fetch = fetch
        self._offload = offload
        self._pack = pack
        self._spread = spread
        self._accounts = tuple(Account(source) for source in sources)
        self._findings: frozenset[Finding] = frozenset()
        self._taken_over = False
        self._running = False
        self._next: IDelayedCall | None = None
        self._round: Deferred[None] = succeed(None)

    @property
    def exists(self) -> bool:
        """Whether any API is to be in it."""
        return bool(self._accounts)

    def start(self) -> None:
        """Begin to fetch, now and from now on; nothing happens where there are no sources."""
        if self._accounts and not self._running:
            self._running = True
            self._begin()

    def take_over(self, former: LiveDocument[T]) -> None:
        """Begin with what another one has, of the same APIs: nobody is to miss the document
        because the configuration has changed."""
        known = {_place(each.source): each for each in former._accounts}
        self._accounts = tuple(
            attrs.evolve(known.get(_place(each.source), each), source=each.source)
            for each in self._accounts
        )
        if self._accounts:
            self.json, self.yaml = former.json, former.yaml
        self._findings = former._findings
        self._taken_over = True

    def stop(self) -> Deferred[None]:
        """Fetch no more; what is there stays.

        :return: fires when no connection is left.
        """
        self._running = False
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._round.cancel()
        return self._round

    def states(self) -> tuple[ApiState, ...]:
        """What is known of each API, in the order of the sources; never blocks."""
        return tuple(map(_state, self._accounts))

    def _begin(self) -> None:
        self._next = None
        self._round = ensureDeferred(self._look()).addErrback(self._broken)
        self._round.addCallback(self._again)

    def _again(self, _: object) -> None:
        if self._running:
            wait = self.refresh * self._spread(1 - SPREAD, 1 + SPREAD)
            self._next = self._clock.callLater(wait, self._begin)

    def _broken(self, failure: Any) -> None:
        # A schedule that ends because of one bad round would never be noticed.
        if self._running:
            log.failure("a look at the OpenAPI documents broke off", failure)

    async def _look(self) -> None:
        """One round: fetch all at once, then show what came of it."""
        fetching = [self._fetch(each.source, each.etag) for each in self._accounts]
        outcomes = await DeferredList(fetching, consumeErrors=True)
        if not self._running:
            return
        now = self._clock.seconds()
        looked = tuple(
            _looked(account, good, result, now)
            for account, (good, result) in zip(self._accounts, outcomes, strict=True)
        )
        changed = self.json is None or any(map(_differs, self._accounts, looked))
        if self._taken_over:  # The settings may be others.
            self._taken_over, changed = False, True
        if not changed:
            # Nothing but times of checks, and tags.
            self._accounts = looked
            return
        shown: Shown[T] = await self._offload(
            lambda: assemble(looked, self._settings, now, self._pack)
        )
        if not self._running:
            return
        before, self._accounts = self._accounts, shown.accounts
        if shown.json is not None:
            self.json, self.yaml = shown.json, shown.yaml
        self._tell(before, shown.findings)

    def _tell(self, before: tuple[Account, ...], findings: tuple[Finding, ...]) -> None:
        """Log what is new, and only that."""
        for then, now in zip(before, self._accounts, strict=True):
            if now.error is not None and now.error != then.error:
                log.warn(
                    "OpenAPI: {api} {error}{detail}; {effect}",
                    api=now.source.api,
                    error=now.error,
                    detail=f" ({now.fault_detail})" if now.fault_detail else "",
                    effect="its last good document stays" if now.good else "it is left out",
                )
            elif now.error is None and then.error is not None:
                log.info("OpenAPI: {api} is well again", api=now.source.api)
        fresh: dict[str, list[Finding]] = {}
        for finding in findings:
            if finding not in self._findings:
                fresh.setdefault(finding.api, []).append(finding)
        self._findings = frozenset(findings)
        for api, some in fresh.items():
            for finding in some[:MOST_FINDINGS]:
                log.info("OpenAPI: {finding}", finding=str(finding))
            if len(some) > MOST_FINDINGS:
                log.info(
                    "OpenAPI: {api}: {count} more; toolforge-gateway openapi --check shows all",
                    api=api,
                    count=len(some) - MOST_FINDINGS,
                )


def _looked(account: Account, good: bool, result: Any, now: float) -> Account:
    """What a fetch has to say of an API; documents are not looked into yet."""
    if not good:
        wrong = result.value
        if not isinstance(wrong, CannotFetch):
            log.failure("OpenAPI: {api} could not be asked", result, api=account.source.api)
            wrong = CannotFetch("could not be asked")
        return attrs.evolve(
            account,
            fault=wrong.sentence,
            fault_detail=wrong.detail,
            source=account.source.beginning_elsewhere(),
        )
    return account.fetched(result, now)


def _place(source: Source) -> tuple[object, ...]:
    return source.api, source.prefix, source.url, source.path


def _differs(before: Account, after: Account) -> bool:
    """Whether there is anything in it that the document would show."""
    return before.fault != after.fault or after.unread is not None


def _state(account: Account) -> ApiState:
    info: Any = account.good.get("info") if account.good is not None else None
    return ApiState(
        api=account.source.api,
        path=account.source.prefix,
        title=_text(info, "title"),
        version=_text(info, "version"),
        operations=account.operations,
        fetched_at=account.good_since,
        checked_at=account.checked_at,
        stale=account.stale,
        error=account.error,
    )


def _text(info: object, key: str) -> str | None:
    value = info.get(key) if isinstance(info, Mapping) else None
    return value if isinstance(value, str) else None

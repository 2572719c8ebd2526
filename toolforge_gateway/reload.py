"""Taking up the configuration again while everything runs.  Layer 5."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred, DeferredLock, ensureDeferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from toolforge_gateway import config
from toolforge_gateway.config.values import Configuration
from toolforge_gateway.errors import ConfigurationError

log = Logger()

ENDING = "the gateway is coming to its end"


@attrs.frozen
class Outcome:
    """What came of an attempt."""

    good: bool
    version: str
    """Of the configuration that is in force now."""
    complaints: tuple[str, ...]
    """Why it was left as it was; with file and line, where there is one."""
    at: float
    """POSIX seconds."""


class Change(Protocol):
    """See `service.Change`; each may return a Deferred."""

    def commit(self) -> Any:
        """Put it in force."""
        ...

    def abandon(self) -> Any:
        """Leave everything as it was."""
        ...


Prepare = Callable[[Configuration], Change | Deferred[Change]]
"""Builds all; raises `ConfigurationError` and leaves everything as it was."""


class Reloadable(Protocol):
    """What a `Reloader` works on."""

    @property
    def prepare(self) -> Prepare:
        """See `Prepare`."""
        ...


class Reloader:
    """Prepares all, then puts all in force; or leaves all as it was, and says why.

    :param file: the configuration.
    :param service: what runs.
    :param version: of the configuration in force, see `Configuration.version`.
    :param load: reads the file.

    :ivar last: the latest outcome; None before the first.
    :ivar good: how many were good.
    :ivar bad: how many left everything as it was.
    """

    def __init__(
        self,
        file: Path,
        service: Reloadable,
        version: str,
        clock: IReactorTime,
        load: Callable[[Path], Configuration] = config.load,
    ):
        self._file = file
        self._service = service
        self._version = version
        self._clock = clock
        self._load = load
        self._one_at_a_time = DeferredLock()
        self._waiting: dict[str, list[Deferred[Outcome]]] = {}
        self._begun: list[Callable[[], object]] = []
        self._told: list[Callable[[Outcome], object]] = []
        self._closed = False
        self.last: Outcome | None = None
        self.good = self.bad = 0

    def tell(
        self, begun: Callable[[], object] | None, ended: Callable[[Outcome], object] | None
    ) -> None:
        """Have somebody called when an attempt begins, and when it has ended."""
        if begun is not None:
            self._begun.append(begun)
        if ended is not None:
            self._told.append(ended)

    @property
    def version(self) -> str:
        """Of the configuration in force."""
        return self._version

    def reload(self) -> Deferred[Outcome]:
        """Read everything again; waits for an attempt that is under way.

        All who ask while they wait have the same attempt, which begins after the last of them.

        :return: never fails.
        """
        return self._run(self._service.prepare, "reloaded")

    def restart(self, prepare: Prepare) -> Deferred[Outcome]:
        """The same, with other processes.

        :param prepare: has them prepared.
        """
        return self._run(prepare, "restarted")

    def close(self) -> None:
        """The end begins: nothing is put in force any more, whatever is being prepared or waits.
        It would open again what is being closed."""
        self._closed = True

    def _run(self, prepare: Prepare, done: str) -> Deferred[Outcome]:
        asked: Deferred[Outcome] = Deferred()
        waiting = self._waiting.setdefault(done, [])
        waiting.append(asked)
        if len(waiting) == 1:
            self._one_at_a_time.run(lambda: ensureDeferred(self._turn(prepare, done)))
        return asked

    async def _turn(self, prepare: Prepare, done: str) -> None:
        waiting = self._waiting.pop(done)
        outcome = await self._attempt(prepare, done)
        for asked in waiting:
            asked.callback(outcome)

    async def _attempt(self, prepare: Prepare, done: str) -> Outcome:
        if self._closed:
            return self._ended((ENDING,), done)
        for begun in self._begun:
            _tell(begun)
        complaints: tuple[str, ...] = ()
        try:
            configuration = self._load(self._file)
            change: Any = await maybeDeferred(prepare, configuration)
            if self._closed:
                await maybeDeferred(change.abandon)
                return self._ended((ENDING,), done)
        except ConfigurationError as error:
            # Those who were to prepare end with all others: nothing is wrong with the file.
            complaints = (ENDING,) if self._closed else tuple(map(str, error.complaints))
        except (Exception, SystemExit) as error:
            # A plug-in may break in any way, and even want to end the process; what runs is not
            # to suffer from it.
            log.failure("the configuration could not be prepared")
            complaints = (f"{self._file}: could not be prepared: {error!r}",)
        else:
            self._version = configuration.version
            try:
                await maybeDeferred(change.commit)
            except Exception as error:
                # Nothing is left to go back to; whoever waits for an outcome must have one.
                log.failure("the configuration could not be put in force as a whole")
                complaints = (
                    f"{self._file}: only a part of it could be put in force: {error!r}; "
                    "restart the gateway",
                )
        return self._ended(complaints, done)

    def _ended(self, complaints: tuple[str, ...], done: str) -> Outcome:
        outcome = Outcome(not complaints, self._version, complaints, self._clock.seconds())
        self.last = outcome
        version = self._version
        if outcome.good:
            self.good += 1
            log.info("{done}: configuration {version} is in force", done=done, version=version)
        else:
            self.bad += 1
            for complaint in complaints:
                log.error("not {done}: {complaint}", done=done, complaint=complaint)
            log.error(
                "not {done}: configuration {version} stays in force", done=done, version=version
            )
        for ended in self._told:
            _tell(ended, outcome)
        return outcome


def _tell(whom: Callable[..., object], *what: object) -> None:
    """One who cannot take it keeps nobody else from hearing it, systemd for one."""
    try:
        whom(*what)
    except Exception:
        log.failure("somebody could not take the news of a reload")

"""Tells systemd how the service is (sd_notify(3), systemd.service(5) Type=notify).  Layer 2.

The protocol is one datagram of `NAME=value` lines to the Unix socket that `NOTIFY_SOCKET` names.
Where systemd did not start this process there is none, and everything here does nothing.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

log = Logger()

LONGEST_STATUS = 500
"""Characters; systemd ignores a datagram of more than 4096 bytes as a whole."""
AGAIN = 0.1
"""Seconds until a datagram is tried again that systemd had no room for."""
WAITING = 64
"""Datagrams that may wait for room; then the oldest are lost."""
ALIVE = "WATCHDOG=1"
MARGIN = 15.0
"""Seconds beyond those that a drain may take by itself, before systemd ends it by force: more than
a supervisor gives a worker that does not end (`workers.member.OVERTIME`)."""


class Notifier:
    """What one process says to the systemd that started it.

    Nothing here raises or waits: a service must not fail because nobody listens to its news.

    :param address: of systemd's socket, a path, or `@` and an abstract name; None: nobody asked.
    :param watchdog: the seconds after which systemd takes a silent process for dead; None: never.
    :param clock: `IReactorTime`.
    :param monotonic: CLOCK_MONOTONIC in nanoseconds.
    """

    def __init__(
        self,
        address: str | None,
        watchdog: float | None,
        clock: Any,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ):
        self.watchdog = watchdog
        self._address = address
        self._clock = clock
        self._monotonic = monotonic
        self._waiting: deque[bytes] = deque(maxlen=WAITING)
        self._retry: Any = None
        self._beat: LoopingCall | None = None
        self._mute = False

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str], clock: Any, pid: int | None = None
    ) -> Notifier:
        """What systemd asked for: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.

        A value that is none is logged, and left out.

        :param pid: of this process, if not the real one.
        """
        address = environ.get("NOTIFY_SOCKET") or None
        if address is not None and (address[0] not in "/@" or len(address) < 2):
            log.warn(
                "NOTIFY_SOCKET is {address!r}, neither a path nor an abstract name: "
                "systemd is not told how the service is",
                address=address,
            )
            address = None
        return cls(address, _watchdog(environ, os.getpid() if pid is None else pid), clock)

    @property
    def listened_to(self) -> bool:
        """Whether anybody is told."""
        return self._address is not None

    def ready(self, status: str = "") -> None:
        """It serves: for the first time, or again after `reloading`.

        :param status: as in `status`; empty: what was said last stays.
        """
        self._say("READY=1", *_status(status))

    def status(self, text: str) -> None:
        """Say in one line how it is; `systemctl status` shows it."""
        self._say(*_status(text))

    def reloading(self, status: str = "") -> None:
        """It takes over another configuration; `ready` must follow, whatever comes of it."""
        # The time lets systemd tell this from news that was under way when it asked for a reload.
        moment = f"MONOTONIC_USEC={self._monotonic() // 1000}"
        self._say("RELOADING=1", moment, *_status(status))

    def stopping(self, status: str = "", within: float | None = None) -> None:
        """It comes to its end by itself or because it was told to.

        :param within: the seconds that it may take, where that can be more than
            `TimeoutStopSec` of the unit.
        """
        extend = [] if within is None else [f"EXTEND_TIMEOUT_USEC={int(within * 1_000_000)}"]
        self._say("STOPPING=1", *extend, *_status(status))

    def start_watchdog(self, alive: Callable[[], bool]) -> None:
        """Give a sign of life in half of the time that systemd allows, from now on.

        Does nothing where systemd does not watch, or when it has been started before.

        :param alive: asked each time; no sign is given when it says False or raises, so that
            systemd replaces the process.
        """
        if self.watchdog is None or self._address is None or self._beat is not None:
            return
        self._beat = LoopingCall(self._live, alive)
        self._beat.clock = self._clock
        self._beat.start(self.watchdog / 2)

    def stop(self) -> None:
        """No sign of life from now on, and nothing is tried again."""
        beat, self._beat = self._beat, None
        if beat is not None and beat.running:
            beat.stop()
        retry, self._retry = self._retry, None
        if retry is not None and retry.active():
            retry.cancel()
        self._waiting.clear()

    def _live(self, alive: Callable[[], bool]) -> None:
        try:
            well = alive()
        except Exception:
            log.failure("no sign of life is given to systemd: whether there is life is not known")
            return
        # One that waits says as much as two, and two would push out other news at last.
        if well and ALIVE.encode() not in self._waiting:
            self._say(ALIVE)

    def _say(self, *lines: str) -> None:
        if self._address is None or not lines:
            return
        self._waiting.append("\n".join(lines).encode("utf-8", "replace"))
        if self._retry is None:
            self._send()

    def _send(self) -> None:
        self._retry = None
        assert self._address is not None
        place = re.sub("^@", "\0", self._address)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as end:
            end.setblocking(False)
            while self._waiting:
                try:
                    end.sendto(self._waiting[0], place)
                except BlockingIOError:
                    self._retry = self._clock.callLater(AGAIN, self._send)
                    return
                except OSError as error:
                    if not self._mute:
                        log.error(
                            "systemd cannot be told how the service is, at {address}: {error}",
                            address=self._address,
                            error=error,
                        )
                    self._mute = True
                else:
                    self._mute = False
                self._waiting.popleft()


class Outcome(Protocol):
    """What came of a reload."""

    @property
    def good(self) -> bool: ...
    @property
    def version(self) -> str: ...
    @property
    def complaints(self) -> tuple[str, ...]: ...


class News(Service):
    """Tells of a service beside it: stand it behind that one in a `MultiService`.

    :param reactor: `ready` is said as soon as it runs.
    :param version: of the configuration that the service begins with.
    :param patience: how many seconds its end may take, asked when it begins.
    :param serves: fires when it serves; by default it does as soon as the reactor runs.
    """

    name = "systemd"

    def __init__(
        self,
        notifier: Notifier,
        reactor: Any,
        version: str,
        patience: Callable[[], float],
        serves: Deferred[None] | None = None,
    ):
        self._serving = succeed(None) if serves is None else serves
        self._notifier = notifier
        self._reactor = reactor
        self._version = version
        self._patience = patience
        self._has_begun = False

    def startService(self) -> None:
        """See `IService`."""
        super().startService()
        self._reactor.callWhenRunning(self._serving.addCallback, lambda _: self._began())

    def stopService(self) -> None:
        """See `IService`.  Signs of life go on: what runs is still coming to its end."""
        super().stopService()
        within = self._patience() + MARGIN
        self._notifier.stopping("drains: what runs comes to its end", within)

    def reloading(self) -> None:
        """A reload begins."""
        if self._is_up:
            self._notifier.reloading()

    def reloaded(self, outcome: Outcome) -> None:
        """A reload has ended."""
        self._version = outcome.version
        if not self._is_up:
            return
        status = self._serves()
        if not outcome.good:
            first, *more = outcome.complaints or ("it is not said why",)
            also = f" (and {len(more)} more)" if more else ""
            status += f"; the last reload changed nothing: {first}{also}"
        self._notifier.ready(status)

    @property
    def _is_up(self) -> bool:
        """Whether it serves, and is not coming to its end: READY=1 would be wrong before, and after
        STOPPING=1."""
        return self._has_begun and bool(self.running)

    def _began(self) -> None:
        self._has_begun = True
        if self.running:
            self._notifier.ready(self._serves())
            # That this is called at all is the sign: it is the reactor's own turn.
            self._notifier.start_watchdog(lambda: True)

    def _serves(self) -> str:
        return f"configuration {self._version} serves"


def _watchdog(environ: Mapping[str, str], pid: int) -> float | None:
    """The seconds that systemd allows this process to be silent (sd_watchdog_enabled(3))."""
    text = environ.get("WATCHDOG_USEC")
    if not text or environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    if not re.fullmatch("[0-9]{1,20}", text) or int(text) == 0:
        log.warn(
            "WATCHDOG_USEC is {text!r}, not a number of microseconds: no sign of life is given",
            text=text,
        )
        return None
    return int(text) / 1_000_000


def _status(text: str) -> list[str]:
    # A line break would begin another assignment, which the text is not to make.
    line = re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]+", " ", text).strip()
    if len(line) > LONGEST_STATUS:
        line = f"{line[: LONGEST_STATUS - 1]}…"
    return [f"STATUS={line}"] if line else []

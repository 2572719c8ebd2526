"""Where the lines of the access log go.

A disk that is full, a reader that is gone or slow costs lines, never requests, and never time.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from select import PIPE_BUF
from typing import Any, Protocol

from twisted.logger import Logger

from toolforge_gateway.config.values import AccessLog, Origin
from toolforge_gateway.errors import Complaint, ConfigurationError
from toolforge_gateway.observe.carriers import (
    DatagramSocket,
    Written,
    carrier_of,
    is_plain,
    opened,
)
from toolforge_gateway.observe.lines import (
    Form,
    HumanLine,
    JournalEntry,
    JsonLine,
    SyslogRecord,
)
from toolforge_gateway.observe.outbox import Losses, Outbox

log = Logger()

SYSLOG_SOCKET = Path("/dev/log")
JOURNAL_SOCKET = Path("/run/systemd/journal/socket")


class Sink(Protocol):
    """Takes lines."""

    @property
    def lost(self) -> int:
        """How many it could not write."""
        ...

    def form(self) -> Form:
        """What a line looks like."""
        ...

    def write(self, lines: list[str]) -> None:
        """Take one or more, each as `form` makes them; never waits, never raises."""
        ...

    def reopen(self) -> None:
        """Look for where they go anew; if it is not to be had, say so and go on as before."""
        ...

    def close(self) -> None:
        """No line will come any more."""
        ...


class LineFile:
    """Appends lines to a file, each whole.

    :param descriptor: of something that never waits (`is_plain`).
    """

    def __init__(self, descriptor: int, losses: Losses):
        self._descriptor = descriptor
        self._losses = losses
        self._torn = b""
        """What is missing of a line that the disk had no room for all of."""

    def write(self, lines: list[str]) -> None:
        """See `Sink`."""
        data = "".join(lines).encode("ascii")
        if self._torn:
            data = self._torn + data
        try:
            written = os.write(self._descriptor, data)
        except OSError as error:
            self._losses.lose(len(lines), error)
            return
        if written == len(data):
            self._torn = b""
            self._losses.well()
            return
        self._torn = data[written : data.index(b"\n", written) + 1]
        if data[written - 1 : written] == b"\n":
            self._torn = b""
        lost = data.count(b"\n", written) - bool(self._torn)
        if lost:  # What is torn may still come to its end.
            self._losses.lose(lost, "there was no room for all of it")

    def close(self) -> None:
        """See `Sink`."""
        if self._torn:
            self.write([])
        if self._torn:
            self._losses.lose(1, "there was no room for all of it")
        os.close(self._descriptor)


class Stream:
    """Writes lines to a pipe, a terminal, a stream socket.

    Pieces of lines of other processes that write there do not come between ours: as long as a
    line is no longer than `PIPE_BUF`, it is written at once.
    """

    def __init__(self, outbox: Outbox):
        self._outbox = outbox

    def write(self, lines: list[str]) -> None:
        """See `Sink`."""
        for data, count in _together(lines):
            self._outbox.put(data, count)

    def close(self) -> None:
        """See `Sink`."""
        self._outbox.close()


def _together(lines: Iterable[str]) -> Iterator[tuple[bytes, int]]:
    """As many whole lines at a time as a pipe takes at once, and how many they are."""
    data, count = "", 0
    for line in lines:
        if count and len(data) + len(line) > PIPE_BUF:
            yield data.encode("ascii"), count
            data, count = "", 0
        data += line
        count += 1
    if count:
        yield data.encode("ascii"), count


class ToFile:
    """A file by its name.

    :param reactor: see `Outbox`.
    :raise OSError: it cannot be opened.
    """

    def __init__(self, path: Path, form: Form, reactor: Any):
        self._path = path
        self._form = form
        self._reactor = reactor
        self._losses = Losses(str(path), reactor)
        self._open = self._opened()

    @property
    def lost(self) -> int:
        """See `Sink`."""
        return self._losses.lost

    def form(self) -> Form:
        """See `Sink`."""
        return self._form

    def write(self, lines: list[str]) -> None:
        """See `Sink`."""
        self._open.write(lines)

    def reopen(self) -> None:
        """See `Sink`."""
        try:
            anew = self._opened()
        except OSError as error:
            log.error(
                "the access log {path} cannot be opened anew: {why}; its lines go on to the file "
                "that was opened before, whatever its name is now",
                path=str(self._path),
                why=error.strerror,
            )
            return
        before, self._open = self._open, anew
        before.close()
        log.info("the access log {path} is opened anew", path=str(self._path))

    def close(self) -> None:
        """See `Sink`."""
        self._open.close()
        self._losses.end()

    def _opened(self) -> LineFile | Stream:
        descriptor = opened(self._path)
        if is_plain(descriptor):
            return LineFile(descriptor, self._losses)
        return Stream(Outbox(Written(descriptor), self._reactor, self._losses))


class ToSocket:
    """A Unix datagram socket: each line is a datagram.

    :param reactor: see `Outbox`.
    :raise OSError: nobody is there.
    """

    def __init__(self, path: Path, form: Form, reactor: Any):
        self._path = path
        self._form = form
        self._losses = Losses(str(path), reactor)
        self._outbox = Outbox(DatagramSocket(str(path)), reactor, self._losses)

    @property
    def lost(self) -> int:
        """See `Sink`."""
        return self._losses.lost

    def form(self) -> Form:
        """See `Sink`."""
        return self._form

    def write(self, lines: list[str]) -> None:
        """See `Sink`."""
        for line in lines:
            self._outbox.put(line.encode("ascii"), 1)

    def reopen(self) -> None:
        """See `Sink`."""
        try:
            self._outbox.reconnect()
        except OSError as error:
            log.error(
                "the access log cannot connect anew to {path}: {why}",
                path=str(self._path),
                why=error.strerror,
            )

    def close(self) -> None:
        """See `Sink`."""
        self._outbox.close()
        self._losses.end()


class ToStandardOutput:
    """What was the process's standard output when it began, not what twistd puts in its place, so
    that the lines are as they are and nothing else.

    A daemon has its standard output taken away: then the lines go to twistd's log.  Whether that
    is so, and whether somebody looks at a terminal, is known only once there is a line to write.

    :param form: None: for people on a terminal, else JSON.
    :param reactor: see `Outbox`.
    """

    def __init__(self, form: Form | None, reactor: Any):
        self._given_form = form
        self._reactor = reactor
        # What twistd's log says usually goes there as well, and whoever writes it does wait.
        self._losses = Losses("the standard output", reactor, quiet=True)
        self._open: LineFile | Stream | TwistdLog | None = None

    @property
    def lost(self) -> int:
        """See `Sink`."""
        return self._losses.lost

    def form(self) -> Form:
        """See `Sink`."""
        if self._given_form is not None:
            return self._given_form
        descriptor = _standard_output()
        return HumanLine() if descriptor is not None and os.isatty(descriptor) else JsonLine()

    def write(self, lines: list[str]) -> None:
        """See `Sink`."""
        if self._open is None:
            self._open = self._opened()
        self._open.write(lines)

    def reopen(self) -> None:
        """It has no name to be opened by."""

    def close(self) -> None:
        """See `Sink`."""
        if self._open is not None:
            self._open.close()
        self._losses.end()

    def _opened(self) -> LineFile | Stream | TwistdLog:
        descriptor = _standard_output()
        if descriptor is None:
            return TwistdLog()
        if is_plain(descriptor):
            return LineFile(os.dup(descriptor), self._losses)
        return Stream(Outbox(carrier_of(descriptor), self._reactor, self._losses))


class TwistdLog:
    """A line of twistd's log for each."""

    def write(self, lines: list[str]) -> None:
        """See `Sink`."""
        for line in lines:
            log.info("{line}", line=line.rstrip("\n"))

    def close(self) -> None:
        """See `Sink`."""


def _standard_output() -> int | None:
    """Its descriptor; None: it leads nowhere."""
    try:
        descriptor = sys.__stdout__.fileno()  # type: ignore[union-attr]
        output, null = os.fstat(descriptor), os.stat(os.devnull)
    except (AttributeError, OSError, ValueError):
        return None  # It is closed, or there never was one.
    if stat.S_ISCHR(output.st_mode) and output.st_rdev == null.st_rdev:
        return None
    return descriptor


def open_sink(settings: AccessLog, configuration: Path, reactor: Any) -> Sink:
    """What `observe.accesslog.AccessLog` writes to.

    :param configuration: the file that the settings are from, for complaints.
    :param reactor: IReactorTime, and IReactorFDSet for as many lines as can be.

    :raise ConfigurationError: the file cannot be opened, or nobody is at the socket.
    """
    form: Form | None = None
    if settings.format != "auto":
        form = HumanLine() if settings.format == "human" else JsonLine()
    try:
        if settings.to == "file":
            return ToFile(Path(settings.file), form or JsonLine(), reactor)
        if settings.to == "syslog":
            record = SyslogRecord(form or JsonLine(), settings.facility)
            return ToSocket(settings.socket or SYSLOG_SOCKET, record, reactor)
        if settings.to == "journald":
            entry = JournalEntry(form or JsonLine())
            return ToSocket(settings.socket or JOURNAL_SOCKET, entry, reactor)
    except OSError as error:
        origin = settings.origin or Origin(str(configuration), None, "access_log")
        raise ConfigurationError([_complaint(settings, origin, error)]) from None
    return ToStandardOutput(form, reactor)


def not_now(settings: AccessLog, configuration: Path) -> str:
    """What would keep `open_sink` from opening it at this moment, as far as that can be seen
    without making or sending anything.

    :return: a few words about what may come right by itself until it is opened; "": nothing.
    :raise ConfigurationError: what would not.
    """
    try:
        if settings.to == "file":
            folder = Path(settings.file).parent
            if not folder.is_dir():
                return "its folder is not there now"
            if Path(settings.file).exists():
                os.close(opened(settings.file, make=False))
            elif not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        elif settings.to != "stdout":
            usual = SYSLOG_SOCKET if settings.to == "syslog" else JOURNAL_SOCKET
            DatagramSocket(str(settings.socket or usual)).close()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ECONNREFUSED, errno.ENXIO):
            return "nobody takes lines there now"
        origin = settings.origin or Origin(str(configuration), None, "access_log")
        raise ConfigurationError([_complaint(settings, origin, error)]) from None
    return ""


def _complaint(settings: AccessLog, origin: Origin, error: OSError) -> Complaint:
    why = error.strerror or str(error)  # the name of a socket may be too long for the system
    if settings.to == "file":
        return origin.complaint(
            f"{settings.file} cannot be opened: {why}",
            "create its folder, and let the gateway's user write there",
        )
    path = settings.socket or (SYSLOG_SOCKET if settings.to == "syslog" else JOURNAL_SOCKET)
    return origin.complaint(
        f"nobody takes lines at {path}: {why}",
        f"start {'a syslog daemon' if settings.to == 'syslog' else 'systemd-journald'}, name its "
        "socket, or have the lines go elsewhere (access_log.to)",
    )

"""Where the lines of the access log go."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from twisted.logger import Logger

from toolforge_gateway.config.values import AccessLog
from toolforge_gateway.errors import Complaint, ConfigurationError

log = Logger()


class Together:
    """Hands lines on together that were said in one turn of the reactor: one
    write is enough for them, and a busy gateway has several in each turn.

    :param write: takes one or more lines.
    :param after: calls back when the turn is over; at once if there is none.
    """

    def __init__(
        self, write: Callable[[str], object], after: Callable[[Callable[[], None]], object]
    ):
        self._write = write
        self._after = after
        self._lines: list[str] = []

    def __call__(self, line: str) -> None:
        self._lines.append(line)
        if len(self._lines) == 1:
            self._after(self.flush)

    def take(self, write: Callable[[str], object]) -> None:
        """Hand on to somebody else from now on; who was there gets what was said before."""
        self.flush()
        self._write = write

    def flush(self) -> None:
        """Hand on what there is, now."""
        lines, self._lines = self._lines, []
        if lines:
            self._write("".join(lines))


class LineFile:
    """Appends lines to a file or stream, each whole; takes one or more at a time.

    A disk that is full or a reader that is gone costs lines, never requests;
    it is said once, and once more when lines can be written again.
    """

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self._failing = False

    def __call__(self, line: str) -> None:
        try:
            self._stream.write(line.encode("ascii"))
            self._stream.flush()
        except OSError as error:
            if not self._failing:
                log.error("the access log cannot be written: {error}", error=error)
            self._failing = True
        else:
            if self._failing:
                log.info("the access log can be written again")
            self._failing = False


class StandardOutput:
    """Writes to what was the process's standard output when it began, not to
    what twistd puts in its place, so that the lines stay JSON and nothing else.

    A daemon has its standard output taken away: then the lines go to twistd's
    log.  Whether that is so is known only once there is a line to write.
    """

    def __init__(self) -> None:
        self._write: Callable[[str], object] | None = None

    def __call__(self, line: str) -> None:
        if self._write is None:
            self._write = _log_line if _leads_nowhere() else LineFile(sys.__stdout__.buffer)
        self._write(line)


def _leads_nowhere() -> bool:
    try:
        output, null = os.fstat(sys.__stdout__.fileno()), os.stat(os.devnull)
    except (AttributeError, OSError, ValueError):
        return True  # It is closed, or there never was one.
    return stat.S_ISCHR(output.st_mode) and output.st_rdev == null.st_rdev


def _log_line(lines: str) -> None:
    for line in lines.splitlines():
        log.info("{line}", line=line)


def open_sink(settings: AccessLog, configuration: Path) -> Callable[[str], object]:
    """What `AccessLog` writes to.

    :param configuration: the file that the settings are from, for complaints.

    :raise ConfigurationError: the file cannot be opened.
    """
    if settings.file == "-":
        return StandardOutput()
    try:
        return LineFile(settings.file.open("ab"))
    except OSError as error:
        complaint = Complaint(
            str(configuration),
            None,
            "access_log.file",
            f"{settings.file} cannot be opened: {error.strerror}",
            "create its folder, and let the gateway's user write there",
        )
        raise ConfigurationError([complaint]) from None

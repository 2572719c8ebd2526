"""Programs that are measured: started on one CPU, watched through /proc, always ended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

PROC = Path("/proc")
PATIENCE = 20.0
"""Seconds within which a program accepts connections, or has ended when told to."""
FILES = 65_536
"""Enough for ten thousand connections and as many to backends."""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class CannotRun(Exception):
    """A program did not start or work; the message shows what it said last."""


class Program:
    """A running program and all processes below it.

    :param command: what to run.
    :param cpu: the number of the CPU that it is kept on.
    :param log: the file that gets what it prints.
    :param environ: variables besides ours.
    :cvar GRACE: seconds that it has to end by itself.
    """

    GRACE = 5.0

    def __init__(
        self,
        command: Sequence[str],
        cpu: int,
        log: Path,
        environ: Mapping[str, str] | None = None,
        **pipes: int,
    ):
        self.log = log
        self.command = list(command)
        with log.open("ab") as output:
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output, **pipes}
            self.process = subprocess.Popen(  # type: ignore[call-overload]
                self.command,
                cwd=log.parent,
                env={**os.environ, **(environ or {})},
                preexec_fn=_on_cpu(cpu),  # noqa: PLW1509 (there are no threads here)
                **streams,
            )

    def wait_for(self, port: int) -> None:
        """Return once it accepts connections.

        :raise CannotRun: it ended, or it takes too long.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise CannotRun(f"{self.command[0]} does not listen on {port}:\n{self.said()}")
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.02)

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def end(self) -> None:
        """Ask it to end, and make it end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(self.GRACE)
        except subprocess.TimeoutExpired:
            for pid in [*tree([self.process.pid])]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait(PATIENCE)


def _on_cpu(cpu: int) -> Callable[[], None]:
    def prepare() -> None:
        os.sched_setaffinity(0, {cpu})
        # However this run ends, what it started ends with it.
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return prepare


def raise_limit() -> int:
    """Let us, and what we start, have as many files open as may be.

    :return: how many that are.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, FILES), max(hard, FILES)))
    except (OSError, ValueError):  # the hard limit is root's to raise, and not every root's
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def tree(roots: Sequence[int]) -> Iterator[int]:
    """Process ids of some processes and of all below them."""
    below: dict[int, list[int]] = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int(_stat(folder)[1])
                below.setdefault(parent, []).append(int(folder.name))
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += below.get(pid, [])


def cpu_seconds(roots: Sequence[int]) -> float:
    """User and system time of whole process trees.

    The scheduler's own sum of each thread counts nanoseconds; the ticks of `stat`, where it is
    missing, are a hundredth of a second each.
    """
    total = 0.0
    for pid in tree(roots):
        with contextlib.suppress(OSError):
            total += _threads_seconds(PROC / str(pid))
    return total


def _threads_seconds(folder: Path) -> float:
    try:
        return sum(
            int((thread / "schedstat").read_text().split()[0]) / 1e9
            for thread in (folder / "task").iterdir()
        )
    except FileNotFoundError:
        fields = _stat(folder)
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waiting_seconds(roots: Sequence[int]) -> float:
    """How long threads of whole process trees could have run and did not get the CPU; 0 where the
    scheduler does not say."""
    total = 0
    for pid in tree(roots):
        with contextlib.suppress(OSError):
            for thread in (PROC / str(pid) / "task").iterdir():
                total += int((thread / "schedstat").read_text().split()[1])
    return total / 1e9


def system_share(roots: Sequence[int]) -> tuple[int, int]:
    """Ticks in user and in system mode of whole process trees: their ratio, not their sum, is
    what they are good for."""
    user = system = 0
    for pid in tree(roots):
        with contextlib.suppress(OSError):
            fields = _stat(PROC / str(pid))
            user, system = user + int(fields[11]), system + int(fields[12])
    return user, system


def memory_bytes(roots: Sequence[int]) -> int:
    """The proportional set size of whole process trees: what is shared counts once."""
    total = 0
    for pid in tree(roots):
        with contextlib.suppress(OSError):
            for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def _stat(folder: Path) -> list[str]:
    """The fields behind the name: state, parent, ... (proc(5))."""
    return (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()

"""Finding a pip that can fill an environment, on a machine that may have none."""

from __future__ import annotations

import glob
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bootstrap import debian, pipconfig
from bootstrap.download import Downloader
from bootstrap.lockfile import Pin

Command = list[str]
"""The start of a command line; what `pip` is to be told follows."""

_OLDEST_WITH_PYTHON_OPTION = (22, 3)


class NoPip(Exception):
    """Nowhere is a pip; the message says what the person at the machine can do."""


@contextmanager
def found(python: Path, pin: Pin) -> Iterator[Command]:
    """A pip that installs into the environment of one Python.

    In this order: the pip of the Python that runs us; the one that comes with Python; the wheel
    that Debian's packages leave; the pinned wheel from this machine's own package index;
    Debian's python3-venv, where we may install it.

    :param python: the environment's interpreter, with no pip of its own yet.
    :param pin: pip's release in the lock file.
    :raise NoPip: there is none of these.
    """
    with tempfile.TemporaryDirectory(prefix="run-pip-") as folder:
        failures: list[str] = []
        for candidate in _candidates(python, pin, Path(folder), failures):
            if _answers([*candidate, "--version"]):
                yield candidate
                return
        raise NoPip(_advice(failures))


def _candidates(python: Path, pin: Pin, folder: Path, failures: list[str]) -> Iterator[Command]:
    if _existing_version() >= _OLDEST_WITH_PYTHON_OPTION:
        yield [sys.executable, "-m", "pip", "--python", str(python)]
    if _answers([str(python), "-m", "ensurepip"]):
        yield [str(python), "-m", "pip"]
    for wheel in _wheels_of_this_machine():
        yield [str(python), f"{wheel}/pip"]
    try:
        config = pipconfig.read(os.environ)
    except ValueError as error:
        failures.append(str(error))
    else:
        downloader = Downloader(config)
        if (pinned := downloader.wheel(pin, folder)) is not None:
            yield [str(python), f"{pinned}/pip"]
        failures += downloader.failures
    if debian.install("python3-venv") and _answers([str(python), "-m", "ensurepip"]):
        yield [str(python), "-m", "pip"]


def _existing_version() -> tuple[int, ...]:
    answer = subprocess.run(
        [sys.executable, "-m", "pip", "--version"], capture_output=True, text=True, check=False
    )
    words = answer.stdout.split()
    if answer.returncode or len(words) < 2:
        return ()
    return tuple(int(part) for part in words[1].split(".")[:2] if part.isdigit())


def _wheels_of_this_machine() -> list[str]:
    folders = {sysconfig.get_config_var("WHEEL_PKG_DIR"), "/usr/share/python-wheels"}
    return [
        wheel
        for folder in sorted(filter(None, folders))
        for wheel in sorted(glob.glob(f"{glob.escape(folder)}/pip-*.whl"), reverse=True)
    ]


def _answers(command: Command) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _advice(failures: list[str]) -> str:
    tried = "".join(f"\n  - {failure}" for failure in failures)
    return (
        "this Python has no pip, and none could be had from elsewhere. Do one of these:\n"
        "  * as root on Debian or Ubuntu: apt-get install python3-venv\n"
        "  * say where this machine's package index is, and start ./run again:\n"
        "      PIP_INDEX_URL=<the URL of a simple index> ./run ...\n"
        "  * put the wheels of requirements/*.txt into a folder, and start ./run again:\n"
        "      PIP_FIND_LINKS=<the folder> PIP_NO_INDEX=1 ./run ..."
        + (f"\nTried in vain:{tried}" if tried else "\nNo index is configured for pip here.")
    )

"""Installing Debian packages, where that is for us to do: as root, with apt-get."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLICY = Path("/usr/sbin/policy-rc.d")
"""Asked by Debian's packages before they start a service (Debian policy manual, 9.3.3.1)."""
_TIMEOUT = 300
"""Seconds for one apt-get."""


def install(*packages: str) -> bool:
    """Install packages if we may.

    :return: whether they are installed now; False where this is no Debian, we are not root,
        or apt-get failed (it has then said why).
    """
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return False
    print(f"run: installing Debian packages: {' '.join(packages)}", file=sys.stderr, flush=True)
    wanted = ["install", "--yes", "--no-install-recommends", *packages]
    with _no_service_started():
        # The lists of a new machine are empty or old: then the first try fails, and we get them.
        return _apt(apt, wanted, quiet=True) or (_apt(apt, ["update"]) and _apt(apt, wanted))


@contextmanager
def _no_service_started() -> Iterator[None]:
    """Tests want the programs, not a web server on this machine's port 80."""
    try:
        with _POLICY.open("x", encoding="ascii") as file:
            file.write("#!/bin/sh\nexit 101\n")
    except OSError:  # the machine has a policy of its own, or a folder we cannot write to
        yield
        return
    try:
        _POLICY.chmod(0o755)
        yield
    finally:
        _POLICY.unlink(missing_ok=True)


def _apt(apt: str, words: list[str], quiet: bool = False) -> bool:
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            # Another one may be at it just now.
            [apt, "--quiet=2", "-o", f"DPkg::Lock::Timeout={_TIMEOUT // 2}", *words],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if quiet else None,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        print("run: apt-get gave no answer in time", file=sys.stderr)
        return False
    return done.returncode == 0

"""What this process uses of the machine.

All of it is to be had of one's own process even where /proc shows nothing else
(`ProcSubset=pid` of systemd), which prometheus_client's own collector does not endure.
"""

from __future__ import annotations

import os
import platform
import resource
import time
from pathlib import Path

import OpenSSL
from OpenSSL import SSL

import twisted
from toolforge_gateway._version import __version__
from toolforge_gateway.observe.catalogue import (
    BUILD,
    CPU,
    DESCRIPTORS,
    DESCRIPTORS_LIMIT,
    MEMORY,
    STARTED_AT,
)
from toolforge_gateway.observe.figures import Labels, Number, Numbers

_OWN = Path("/proc/self")
_PAGE = resource.getpagesize()
_MADE_OF = (
    __version__,
    platform.python_version(),
    twisted.__version__,
    OpenSSL.__version__,
    SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode("ascii", "replace"),
)


def numbers(worker: str, began: float, proc: Path = _OWN) -> Numbers:
    """The measures of this process.

    :param worker: which of several processes it is; a small number, or a word.
    :param began: POSIX seconds.
    :param proc: where the kernel tells of this process; what it does not tell is left out.
    """
    key = (worker,)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    found: dict[str, dict[Labels, Number]] = {
        BUILD.name: {_MADE_OF: 1},
        CPU.name: {key: time.process_time()},
        STARTED_AT.name: {key: began},
    }
    if limit != resource.RLIM_INFINITY:
        found[DESCRIPTORS_LIMIT.name] = {key: limit}
    try:
        found[MEMORY.name] = {key: int((proc / "statm").read_text().split()[1]) * _PAGE}
        found[DESCRIPTORS.name] = {key: len(os.listdir(proc / "fd"))}
    except (OSError, IndexError, ValueError):
        pass  # No /proc here, or somebody forbids it.
    return found

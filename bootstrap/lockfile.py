"""Reading the lock files in `requirements/`, as far as ./run needs to understand them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;\\]+)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Pin:
    """One release that a lock file names."""

    name: str
    version: str
    hashes: frozenset[str]
    """SHA-256 of each file that may stand for it, lower-case hex."""

    @property
    def wheel(self) -> str:
        """The file name of its wheel, where that is pure Python (PEP 427)."""
        return f"{self.name.replace('-', '_')}-{self.version}-py3-none-any.whl"


def find_pin(lock: str, name: str) -> Pin:
    """The pin of one package.

    :param lock: the text of a lock file.
    :param name: as the lock file spells it.
    :raise ValueError: it is not in there with hashes.
    """
    pins = list(_PIN.finditer(lock))
    for pin, after in zip(pins, [*pins[1:], None], strict=True):
        if pin["name"] == name:
            end = after.start() if after else len(lock)
            hashes = frozenset(_HASH.findall(lock[pin.end() : end]))
            if hashes:
                return Pin(name, pin["version"], hashes)
    raise ValueError(
        f"the lock file has no {name} with hashes; requirements/compile writes it anew"
    )

"""Field names: all spellings of one, and rules remembered for each.

A name arrives in any case, and some receivers know `X_Toolforge_Tool` or
`X.Toolforge.Tool` for `X-Toolforge-Tool` (everything that follows the CGI
convention does, RFC 3875 section 4.1.18).  So rules look at the folded name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Generic, TypeVar

from .grammar import TOKEN

Verdict = TypeVar("Verdict")

_SEPARATOR = re.compile(rb"[^a-z0-9]")
_is_token = re.compile(TOKEN).fullmatch


def is_name(text: bytes) -> bool:
    """Whether this can be the name of a field (RFC 9110 section 5.1)."""
    return _is_token(text) is not None


def fold(name: bytes) -> bytes:
    """All spellings of one name, as one: lower case, `-` for what is no letter or digit."""
    return _SEPARATOR.sub(b"-", name.lower())


class Remembered(dict[bytes, Verdict], Generic[Verdict]):
    """What a rule says about a name or another short value, as received.

    Clients send the same few dozen spellings over and over, so asking is one
    dictionary access.  Strangers' spellings cannot make it grow: it holds
    short values only, and starts afresh when full.
    """

    ROOM = 1024
    LONGEST = 80

    def __init__(self, rule: Callable[[bytes], Verdict]):
        super().__init__()
        self._rule = rule

    def __missing__(self, value: bytes) -> Verdict:
        verdict = self._rule(value)
        if len(value) <= self.LONGEST:
            if len(self) >= self.ROOM:
                self.clear()
            self[value] = verdict
        return verdict

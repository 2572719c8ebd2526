"""Names for requests: in the log, to the backend, and in what we refuse."""

from __future__ import annotations

import itertools
import secrets


class RequestIds:
    """Makes ids: where the process began at random, and a number.

    Nobody gains by guessing one, so they need to be unique and no more; random
    ones would cost several times as much.
    """

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(8)
        self._numbers = itertools.count(1)

    def __call__(self) -> str:
        """A new id: 32 hex digits."""
        return f"{self._prefix}{next(self._numbers):016x}"

"""The backend that the load speaks with, and what it saw."""

from __future__ import annotations

import random
from pathlib import Path

import attrs

from soak import wire
from soak.backends.good import GoodBackend
from soak.judge import TOKEN, Fields


@attrs.define
class Witness:
    """Remembers what arrived; stands where the soak has its judge."""

    arrived: int = 0
    faults: list[str] = attrs.field(factory=list)
    _posts: set[bytes] = attrs.field(factory=set)

    def arrive(self, method: bytes, target: bytes, fields: Fields) -> bytes:
        """A request's head has come."""
        self.arrived += 1
        token = wire.value(list(fields), TOKEN) or b""
        if method == b"POST":
            if token in self._posts:
                self.fault("sent twice", f"POST {target!r} {token!r}")
            self._posts.add(token)
        return token

    def fault(self, kind: str, what: str) -> None:
        """Something is wrong with it."""
        self.faults.append(f"{kind}: {what}")


class Backend(GoodBackend):
    """Answers the load's requests.

    :param tls: folder with `backend.crt`, `backend.key` and `backend-ca.crt`.
    :ivar asked: how many requests have come to this one.
    """

    def __init__(self, tls: Path, witness: Witness):
        super().__init__(tls, witness, random.Random(0))
        self.asked = 0

    async def answer(self, method, target, fields, reader, writer) -> None:
        self.asked += 1
        await super().answer(method, target, fields, reader, writer)

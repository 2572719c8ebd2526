"""Sorting stacks by the part of the program that they are in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Frame = tuple[str, str, int]
"""File, function, line."""

WAITING = "waiting for something to do"
ELSEWHERE = "elsewhere"

_ROOMS = (
    ("/toolforge_gateway/", "toolforge_gateway/"),
    ("/OpenSSL/", "pyOpenSSL and OpenSSL: "),
    ("/twisted/protocols/tls", "Twisted's TLS: "),
    ("/twisted/internet/", "Twisted's reactor and sockets: "),
    ("/twisted/", "Twisted: "),
    ("/cryptography/", "cryptography: "),
)
"""Parts of a path and how the rooms in it are called; the rest counts for its caller."""


@dataclass(frozen=True)
class Share:
    """One line of the table."""

    where: str
    samples: int
    share: float
    """Of the time in which there was something to do."""


def room_of(frames: Sequence[Frame]) -> tuple[str, str]:
    """The innermost room of a stack, and the place in it.

    What has no room of its own, such as `json` or `re`, counts for what called it.

    :param frames: innermost first.
    """
    for file, function, _ in frames:
        for mark, name in _ROOMS:
            before, found, after = file.rpartition(mark)
            if not found:
                continue
            if mark == "/twisted/internet/" and function in ("doPoll", "doEPoll"):
                return WAITING, function
            module = after.removesuffix(".py")
            return f"{name}{module}", f"{name}{module}.{function}"
    return ELSEWHERE, frames[0][1] if frames else ELSEWHERE


def shares(stacks: Iterable[dict], *, by_function: bool = False) -> list[Share]:
    """How much of the busy time each room, or each function, took; most first.

    :param stacks: what the sampler wrote.
    """
    counts: Counter[str] = Counter()
    for stack in stacks:
        room, place = room_of([tuple(frame) for frame in stack["frames"]])
        if room != WAITING:
            counts[place if by_function else room] += stack["count"]
    total = sum(counts.values())
    return [Share(where, count, count / total) for where, count in counts.most_common()]

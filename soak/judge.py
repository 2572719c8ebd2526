"""What must have been true for the soak to pass.

Backends and clients report to one `Judge`; nobody else knows both who sent a request and as whose
request it arrived.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

import attrs

TOKEN = b"x-soak-token"
"""The field by which a request is known at both ends."""
SECRET = "s0ak-secret"
"""What hostile clients put where no log may show it."""
KEPT = 40
"""Faults that are shown; all are counted."""
WARM_UP = 60.0
"""Seconds after which memory is looked at: by then each kind of client has come several times."""
GROWTH = 0.10
"""Share by which a memory that is flat may differ from end to end: allocators breathe."""

_FOLD = re.compile(rb"[^0-9a-z]")
_NEVER = re.compile(
    rb"forwarded|x-real-ip|x-original-.*|x-rewrite-url|x-forwarded-client-cert|x-remote-.*"
    rb"|x-ssl-.*|ssl-client-.*|impersonate-.*"
)
"""Folded names of fields that no backend may ever see."""

Fields = Sequence[tuple[bytes, bytes]]


@attrs.frozen
class Expected:
    """How one request has to look when it arrives at a backend, if it does."""

    method: bytes
    target: bytes
    """Without the gateway's prefix."""
    tool: bytes | None
    """X-Toolforge-Tool; None: absent."""
    user: bytes | None


@attrs.define
class Judge:
    """Collects what was right and what was not."""

    right: Counter[str] = attrs.field(factory=Counter)
    """By kind: good requests whose answer was right, and attacks that came to nothing."""
    wrong: Counter[str] = attrs.field(factory=Counter)
    faults: list[str] = attrs.field(factory=list)
    arrived: int = 0
    """Requests at all backends."""
    seconds: list[float] = attrs.field(factory=list)
    """How long small good requests took on a connection that was there."""
    _expected: dict[bytes, Expected] = attrs.field(factory=dict)
    _posts: set[bytes] = attrs.field(factory=set)
    _tokens: int = 0

    def announce(self, expected: Expected) -> bytes:
        """A request will be sent.

        :return: the token to send with it.
        """
        self._tokens += 1
        token = b"t%d" % self._tokens
        self._expected[token] = expected
        return token

    def forget(self, token: bytes) -> None:
        """The request is over for its client; a late arrival is still no fault of the gateway,
        so what is known of it stays for a while."""
        stale = self._tokens - 20000
        self._expected.pop(b"t%d" % stale, None)
        self._posts.discard(b"t%d" % stale)

    def arrive(self, method: bytes, target: bytes, fields: Fields) -> bytes:
        """A backend has read a head.

        :return: its token, b"" when it should not be here at all.
        """
        self.arrived += 1
        names = [(_FOLD.sub(b"-", name.lower()), value) for name, value in fields]

        def values(name: bytes) -> tuple[bytes, ...]:
            return tuple(value for other, value in names if other == name)

        tokens = values(TOKEN)
        expected = self._expected.get(tokens[0]) if len(tokens) == 1 else None
        if expected is None:
            self.fault("stowaway", f"{method!r} {target!r} with tokens {tokens!r} at a backend")
            return b""
        if (method, target) != (expected.method, expected.target):
            self.fault("another request", f"{method!r} {target!r} in place of {expected}")
        if method == b"POST":
            if tokens[0] in self._posts:
                self.fault("sent twice", f"POST {target!r}")
            self._posts.add(tokens[0])
        told = ((b"x-toolforge-tool", expected.tool), (b"x-toolforge-user", expected.user))
        for name, wanted in told:
            if values(name) != (() if wanted is None else (wanted,)):
                self.fault("identity", f"{name!r}: {values(name)!r} in place of {wanted!r}")
        for name, wanted in ((b"x-forwarded-for", b"127.0.0.1"), (b"x-forwarded-proto", b"https")):
            if values(name) != (wanted,):
                self.fault("forwarded", f"{name!r}: {values(name)!r}")
        for name, value in names:
            if _NEVER.fullmatch(name):
                self.fault("forbidden field", f"{name!r}: {value!r} at a backend")
        return tokens[0]

    def good(self, kind: str, seconds: float | None = None) -> None:
        """Something went as it must."""
        self.right[kind] += 1
        if seconds is not None:
            self.seconds.append(seconds)

    def fault(self, kind: str, what: str) -> None:
        """Something did not."""
        self.wrong[kind] += 1
        if len(self.faults) < KEPT:
            self.faults.append(f"{kind}: {what}")


@attrs.frozen
class Memory:
    """Resident memory of the gateway: how much after warming up, and at the end."""

    warm: float
    """Bytes."""
    end: float

    @classmethod
    def of(cls, samples: Sequence[tuple[float, int]]) -> Memory:
        """Medians of the first and of the last tenth after the warm-up.

        :param samples: (seconds since the start, bytes), in order.
        """
        after = [size for moment, size in samples if moment >= WARM_UP]
        tenth = max(1, len(after) // 10)
        if not after:
            return cls(0, float("inf"))
        return cls(statistics.median(after[:tenth]), statistics.median(after[-tenth:]))

    @property
    def flat(self) -> bool:
        """Whether it has not grown."""
        return self.end <= self.warm * (1 + GROWTH)


@attrs.frozen
class Ending:
    """What was left when all clients had gone."""

    memory: Memory | None
    """None: the run was too short to tell."""
    descriptors_before: int
    descriptors_after: int
    """Without the kept connections to backends."""
    exit_code: int | None
    log: str
    """All that the process has printed."""
    access_log: Iterable[str]


def complaints(judge: Judge, ending: Ending, needed: Iterable[str]) -> list[str]:
    """Why the soak has not passed; nothing: it has.

    :param needed: kinds of which at least one must have gone right, so that a soak in which
        nothing happened is no success.
    """
    found = list(judge.faults)
    hidden = sum(judge.wrong.values()) - len(judge.faults)
    if hidden:
        found.append(f"... and {hidden} more faults: {dict(judge.wrong)}")
    found += [f"nothing was tried: {kind}" for kind in needed if not judge.right[kind]]
    memory = ending.memory
    if memory is not None and not memory.flat:
        found.append(f"memory has grown from {memory.warm:.0f} to {memory.end:.0f} bytes")
    if ending.descriptors_after > ending.descriptors_before:
        found.append(
            f"{ending.descriptors_after} open descriptors after all clients had gone, "
            f"{ending.descriptors_before} before they came"
        )
    if ending.exit_code != 0:
        found.append(f"the gateway ended with {ending.exit_code}")
    for word in ("Traceback", "Unhandled", "Unexpected error", SECRET):
        if word in ending.log:
            at = ending.log.index(word)
            found.append(f"{word!r} in its log: {ending.log[max(0, at - 300) : at + 1500]}")
    for line in ending.access_log:
        if SECRET in line or not line.isprintable():
            found.append(f"in its access log: {line[:300]!r}")
            break
    return found

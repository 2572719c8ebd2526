"""What counts as lost.

A request is *lost* when it has not had the answer that its backend gave, and an HTTP client may not
send it again by itself.  When it may is said by RFC 9110 section 9.2.2, to which RFC 9112 section
9.3.1 refers for connections that close: requests with an idempotent method, or those of which the
client has some means to know that they were never applied.  Where clients in use do less than they
may, the judge is as strict as they are.

| what became of a request | verdict | because |
|---|---|---|
| whole answer, the one that the backend gave | right | |
| whole answer, any other: 5xx of the gateway's own, a wrong status, a changed body, another's answer | lost | an answer has been given, nothing failed (RFC 9110 section 9.2.2) |
| part of an answer, in its head or its body, interim ones included | lost | incomplete (RFC 9112 section 8), and what came may be used already |
| nothing, within the client's patience | lost | the client cannot know |
| no connection, or none after the handshake | lost | clients in use say "cannot connect" and give up |
| connection closed without an answer, after an answer on it said `close` | resent | nothing after that is processed (RFC 9112 section 9.6) |
| connection closed without an answer, the first request on it | lost | clients in use take closing for a reused connection's race alone |
| connection closed without an answer, a reused one, idempotent method | resent | RFC 9110 section 9.2.2, RFC 9112 section 9.3.1; sent ahead: section 9.3.2 |
| the same, another method | lost | it may have been applied (RFC 9110 section 9.2.2) |
| a resent one fails again, in whatever way | lost | no automatic retry of an automatic retry (RFC 9110 section 9.2.2) |

A connection that closes while nothing is asked on it costs nobody anything, as the client sees it
before the next request (RFC 9112 section 9.5); these are counted apart.
"""  # noqa: E501 (a table)

from __future__ import annotations

import enum
from collections import Counter
from typing import Any

import attrs

IDEMPOTENT = frozenset(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"])
"""RFC 9110 section 9.2.2."""
KEPT = 40
"""Losses that are told in full; all are counted."""


class End(enum.Enum):
    """How an attempt to have a request answered ended, as its client sees it."""

    UNREACHED = "there was no connection, or it ended in the handshake"
    SILENT = "the connection closed without an answer"
    CUT = "the connection closed within the answer"
    LATE = "no whole answer came in time"
    WRONG = "a whole answer came that its backend did not give"
    RIGHT = "the backend's answer came whole"


class Verdict(enum.Enum):
    """What an attempt means for its request."""

    RIGHT = "right"
    RESEND = "resend"
    LOST = "lost"


@attrs.frozen
class Attempt:
    """One request as it was sent once."""

    method: str
    end: End
    reused: bool = False
    """Whether an answer had come on its connection before this request was sent."""
    after_close: bool = False
    """Whether an answer to a request before it, on the same connection, said `close`."""
    again: bool = False
    """Whether the request was sent before, and was `RESEND` then."""
    detail: str = ""


def judge(attempt: Attempt) -> Verdict:
    """What an attempt means; the table above."""
    if attempt.end is End.RIGHT:
        return Verdict.RIGHT
    if attempt.end is not End.SILENT or attempt.again:
        return Verdict.LOST
    if attempt.after_close:
        return Verdict.RESEND
    may = attempt.reused and attempt.method in IDEMPOTENT
    return Verdict.RESEND if may else Verdict.LOST


@attrs.define
class Ledger:
    """Adds up what became of all requests."""

    start: float = 0.0
    """From when on moments are told, by the clock of `now` everywhere here."""
    right: Counter[str] = attrs.field(factory=Counter)
    """Requests that were answered right, by kind of client; resent ones included."""
    resent: Counter[str] = attrs.field(factory=Counter)
    lost: Counter[str] = attrs.field(factory=Counter)
    losses: list[str] = attrs.field(factory=list)
    """Each with its moment; no more than `KEPT`."""
    closed_idle: int = 0
    """Connections that closed while nothing was asked on them."""
    slowest: dict[str, float] = attrs.field(factory=dict)
    """Longest time from the wish to the end of the answer, a new connection and a second attempt
    included, by kind; seconds."""
    pause: float = 0.0
    """Longest time in which nobody's request was answered; seconds."""
    _last: float | None = None

    def enter(self, kind: str, attempt: Attempt, began: float, now: float) -> Verdict:
        """Judge an attempt and remember what came of it.

        :param began: when its client first wished for it, by the clock of `now`.
        :param now: seconds by any clock that does not jump.
        """
        verdict = judge(attempt)
        if verdict is Verdict.RIGHT:
            self.right[kind] += 1
            self.slowest[kind] = max(self.slowest.get(kind, 0.0), now - began)
            if self._last is not None:
                self.pause = max(self.pause, now - self._last)
            self._last = now
        elif verdict is Verdict.RESEND:
            self.resent[kind] += 1
        else:
            self._lose(kind, attempt, began, now)
        return verdict

    def _lose(self, kind: str, attempt: Attempt, began: float, now: float) -> None:
        self.lost[kind] += 1
        if len(self.losses) < KEPT:
            when = f"{began - self.start:.2f} to {now - self.start:.2f} s"
            detail = f": {attempt.detail}" if attempt.detail else ""
            what = f"{attempt.method}: {attempt.end.value}, {_where(attempt)}"
            self.losses.append(f"{when}: {kind}: {what}{detail}")

    def report(self) -> dict[str, Any]:
        """All of it, for a file."""
        return {
            "right": dict(self.right),
            "resent": dict(self.resent),
            "lost": dict(self.lost),
            "losses": self.losses,
            "closed_idle": self.closed_idle,
            "slowest_seconds": {kind: round(most, 3) for kind, most in self.slowest.items()},
            "longest_pause_seconds": round(self.pause, 3),
        }


def _where(attempt: Attempt) -> str:
    if attempt.after_close:
        where = "on a connection that an answer had ended"
    elif attempt.reused:
        where = "on a kept connection"
    else:
        where = "on a new connection"
    return where + (", sent for the second time" if attempt.again else "")

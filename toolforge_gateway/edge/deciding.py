"""Waiting for a decision, where an authenticator takes its time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from toolforge_gateway.auth.chain import Standing
from toolforge_gateway.errors import Refusal

log = Logger()


class Deciding:
    """Tells what was decided, unless nobody waits for it any more.

    :param decision: fires with how to start the answer, or fails with a `Refusal`.
    :param decided: called with the former.
    :param refused: called with the latter.
    :param broke: called when that has failed: nothing good can come of the request.
    :param standing: what was known of the caller when the question was put; the connection's may be
        another by the time of the answer.
    """

    def __init__(
        self,
        decision: Deferred[Any],
        decided: Callable[[Any], None],
        refused: Callable[[Refusal], None],
        broke: Callable[[], None],
        standing: Standing,
    ):
        self.standing = standing
        self._decided = decided
        self._refused = refused
        self._broke = broke
        self._decision: Deferred[Any] | None = decision

    def start(self) -> None:
        """Wait; it may be over before this returns."""
        assert self._decision is not None, "it has not been stopped"
        self._decision.addCallbacks(self._yes, self._no).addErrback(self._cannot)

    def stop(self) -> None:
        """Nobody waits any more, whatever the answer."""
        decision, self._decision = self._decision, None
        if decision is not None:
            decision.cancel()

    def _yes(self, start: Any) -> None:
        if self._decision is not None:
            self._decision = None
            self._decided(start)

    def _no(self, failure: Failure) -> None:
        if self._decision is None:
            return
        self._decision = None
        if isinstance(failure.value, Refusal):
            self._refused(failure.value)
            return
        # That must never let anybody in.
        log.failure("an authenticator failed", failure)
        self._refused(
            Refusal(
                503, "decision-failed", "who you are could not be checked: please tell the admins"
            )
        )

    def _cannot(self, failure: Failure) -> None:
        log.failure("a request that was decided late could not be served", failure)
        self._broke()

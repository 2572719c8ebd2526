"""Asks the authenticators in turn, as seldom as their answers allow.

What depends on the connection alone is asked once, when the handshake is
over.  A caller with a certificate that the built-in authenticators know is
settled by that: no call, no Deferred and no `Evidence` per request.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from toolforge_gateway.auth.identity import BadIdentity, check_identity
from toolforge_gateway.errors import BadEvidence, Refusal
from toolforge_gateway.model import ANONYMOUS, DependsOn, Evidence, Identity


class Authenticator(Protocol):
    """`IAuthenticator`, for the type checker."""

    name: str
    depends_on: DependsOn
    headers: frozenset[str]

    def authenticate(self, evidence: Evidence) -> Identity | None | Deferred[Identity | None]: ...


Answer = Identity | Refusal | None
"""An authenticator's answer as a value: nothing here, an identity, a no."""

TOO_LATE = Refusal(
    503,
    "decision-timeout",
    "who you are could not be checked in time: please retry in a minute, and tell the Toolforge"
    " admins if it lasts",
)
"""What becomes of a request when an authenticator takes too long."""


def not_recognized(evidence: Evidence) -> BadEvidence:
    """A good certificate that nobody knows; it is never "no evidence"."""
    certificate = evidence.certificate
    authority = certificate.client_ca if certificate else ""
    return BadEvidence(
        403,
        "certificate-not-recognized",
        f"your certificate (client CA {authority}) is valid, but its subject is neither "
        "a tool, nor an administrator, nor a service that may call here; use your tool's own",
        close=True,
    )


class AuthenticatorChain:
    """The configured authenticators in their order.

    :param authenticators: providers of `IAuthenticator`.
    """

    log = Logger()

    def __init__(self, authenticators: Sequence[Authenticator]):
        self.authenticators = tuple(authenticators)
        self.headers = frozenset[str]().union(*(each.headers for each in self.authenticators))
        """Lower-case names of all request fields that anyone wants to see."""

    def for_connection(self, evidence: Evidence) -> Standing:
        """Begin with a connection; never raises.

        :param evidence: its `certificate` and `address` alone.
        """
        return Standing(self, evidence)

    def ask(self, authenticator: Authenticator, evidence: Evidence) -> Answer | Deferred[Answer]:
        """Ask one authenticator, and judge what it says.

        A Deferred that has fired already is as good as no Deferred.  What an
        authenticator breaks is a 500, and never "nothing here".
        """
        wanted = authenticator.headers
        if len(wanted) < len(self.headers):
            evidence = attrs.evolve(
                evidence, headers=tuple(field for field in evidence.headers if field[0] in wanted)
            )
        try:
            said = authenticator.authenticate(evidence)
            if not isinstance(said, Deferred):
                return check_identity(said)
        except Refusal as refusal:
            return refusal
        except Exception:
            return self._broken(authenticator, Failure())
        answers: list[Answer] = []
        said.addCallback(check_identity)
        answer: Deferred[Answer] = said.addErrback(self._said_no, authenticator)
        if answer.called and not answer.paused:
            answer.addCallback(answers.append)
        return answers[0] if answers else answer

    def _said_no(self, failure: Failure, authenticator: Authenticator) -> Refusal:
        if isinstance(failure.value, Refusal):
            return failure.value
        return self._broken(authenticator, failure)

    def _broken(self, authenticator: Authenticator, failure: Failure) -> Refusal:
        if not failure.check(CancelledError):  # that is how a caller's leaving ends it
            # The type and the place only: the text of a stranger's exception
            # may repeat the very token it was about.
            frame = failure.frames[-1] if failure.frames else ("", "", 0)
            what = f"{failure.type.__name__ if failure.type else ''} in {frame[1]}:{frame[2]}"
            self.log.error(
                "authenticator {name} is broken: {what}",
                name=authenticator.name,
                what=str(failure.value) if failure.check(BadIdentity) else what,
            )
        return Refusal(
            500,
            "authenticator-broken",
            f"the gateway could not check who you are ({authenticator.name} is broken); "
            "tell its administrators",
        )


class Standing:
    """The other end of one connection: what is known of it, what is not yet.

    For each request::

        identity = standing.settled(now) or standing.for_request(evidence)
    """

    def __init__(self, chain: AuthenticatorChain, evidence: Evidence):
        self._chain = chain
        self._certificate = evidence.certificate
        self._not_before, self._not_after = -math.inf, math.inf
        if self._certificate is not None:
            self._not_before = self._certificate.not_before
            self._not_after = self._certificate.not_after
            if self._certificate.list_until <= self._not_after:
                self._not_after = math.nextafter(self._certificate.list_until, -math.inf)
        self._per_request: tuple[Authenticator, ...] = ()
        self._verdict: Answer = None
        self._settled: Identity | None = None
        self._waiting: list[Callable[[], None]] | None = []
        self._pending: Deferred[None] | None = None
        self._thinking = ""
        self._ask_connection(evidence, 0)

    def settled(self, now: float) -> Identity | None:
        """Who it is, if that is the same for each request.

        :param now: POSIX seconds.
        :return: None when `for_request` has to be asked.
        :raise BadEvidence: 403 `certificate-expired`: the certificate is not
            in date any more, or not yet; `revocation-list-expired`: nobody
            knows whether it was revoked.  Also before `for_request` this is
            the check to make, since a connection can outlive both.
        """
        if not self._not_before <= now <= self._not_after:
            raise self._out_of_date(now)
        return self._settled

    @property
    def verdict(self) -> Answer:
        """What those said who look at the connection alone; None as long as one thinks."""
        return self._verdict

    @property
    def known(self) -> Identity:
        """Who it is, if that is the same for each request, in date or not; `model.ANONYMOUS`: that
        is not known."""
        return self._settled if self._settled is not None else ANONYMOUS

    def is_settled(self, identity: Identity, now: float) -> bool:
        """Whether `settled` would return this very identity."""
        return self._settled is identity and self._not_before <= now <= self._not_after

    def _out_of_date(self, now: float) -> BadEvidence:
        assert self._certificate is not None, "without one there are no dates"
        if self._not_before <= now <= self._certificate.not_after:
            return BadEvidence(
                403,
                "revocation-list-expired",
                "the revocation list of your certificate's CA has run out;"
                " tell the operators of this service",
                close=True,
            )
        return BadEvidence(
            403,
            "certificate-expired",
            "your certificate is not in date now; ask for a new one",
            close=True,
        )

    def for_request(self, evidence: Evidence) -> Identity | Deferred[Identity]:
        """Who sends this request; `model.ANONYMOUS` for nobody.

        :param evidence: all of it; `headers` holds the fields that
            `AuthenticatorChain.headers` names.
        :return: a Deferred only when an authenticator gave one that has not
            fired.  It may be cancelled when the client leaves.
        :raise Refusal: 400, 401, 403 or 500 (a broken authenticator); the
            Deferred fails with the same.
        """
        if self._waiting is None:
            return self._ask_request(evidence, 0)
        return self._once_connected(evidence)

    def overdue(self, patience: float) -> Refusal:
        """Say in the log who has not answered; gives what becomes of the request.

        :param patience: seconds that there were.
        """
        self._chain.log.error(
            "{who} has not said within {patience:g} s who a caller is",
            # At /auth it was asked about somebody else than who is at the connection.
            who=f"authenticator {self._thinking}" if self._thinking else "an authenticator",
            patience=patience,
        )
        return TOO_LATE.with_traceback(None)

    def _ask_connection(self, evidence: Evidence, start: int) -> None:
        """Ask those that depend on the connection, from the `start`th on."""
        for at, authenticator in enumerate(self._chain.authenticators[start:], start):
            if authenticator.depends_on is DependsOn.REQUEST:
                self._per_request = (*self._per_request, authenticator)
                continue
            answer = self._chain.ask(authenticator, evidence)
            if isinstance(answer, Deferred):
                self._thinking = authenticator.name
                self._pending = answer.addCallback(self._connection_answered, evidence, at)
                return
            if answer is not None:
                return self._decided(answer)
        self._decided(not_recognized(evidence) if evidence.certificate else ANONYMOUS)

    def lost(self) -> None:
        """The connection is gone: nobody waits for an answer about it."""
        if self._pending is not None:
            self._pending.cancel()

    def _connection_answered(self, answer: Answer, evidence: Evidence, at: int) -> None:
        if answer is None:
            self._ask_connection(evidence, at + 1)
        else:
            self._decided(answer)

    def _decided(self, verdict: Identity | Refusal) -> None:
        self._verdict = verdict
        self._pending = None
        if isinstance(verdict, Identity) and not self._per_request:
            self._settled = verdict
        waiting, self._waiting = self._waiting, None
        for proceed in waiting or ():
            proceed()

    def _once_connected(self, evidence: Evidence) -> Deferred[Identity]:
        """Wait for the answer about the connection, which is under way."""
        cancelled = False

        def cancel(_: object) -> None:
            nonlocal cancelled
            cancelled = True

        def proceed() -> None:
            if not cancelled:
                connected.callback(None)

        connected: Deferred[None] = Deferred(cancel)
        assert self._waiting is not None
        self._waiting.append(proceed)
        return connected.addCallback(lambda _: self._ask_request(evidence, 0))

    def _ask_request(self, evidence: Evidence, start: int) -> Identity | Deferred[Identity]:
        for at, authenticator in enumerate(self._per_request[start:], start):
            answer = self._chain.ask(authenticator, evidence)
            if isinstance(answer, Deferred):
                self._thinking = authenticator.name
                return answer.addCallback(self._request_answered, evidence, at)
            if answer is not None:
                return _identity_or_raise(answer)
        assert self._verdict is not None
        return _identity_or_raise(self._verdict)

    def _request_answered(
        self, answer: Answer, evidence: Evidence, at: int
    ) -> Identity | Deferred[Identity]:
        if answer is None:
            return self._ask_request(evidence, at + 1)
        return _identity_or_raise(answer)


def _identity_or_raise(answer: Identity | Refusal) -> Identity:
    if isinstance(answer, Refusal):
        # One refusal may end many requests of a connection: without this its
        # traceback would grow with each.
        raise answer.with_traceback(None)
    return answer

"""Why somebody is who they are: the chain's way of thinking, step by step.

For `toolforge-gateway explain`, so not on the way of any request.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import Interface

from toolforge_gateway.auth.chain import (
    TOO_LATE,
    Answer,
    Authenticator,
    AuthenticatorChain,
    not_recognized,
)
from toolforge_gateway.errors import Refusal
from toolforge_gateway.model import ANONYMOUS, DependsOn, Evidence, Identity


class IExplainsSilence(Interface):
    """What an authenticator may provide besides, for `explain` alone."""

    def silence(evidence):
        """Say why there is nothing here for this authenticator.

        :param evidence: `model.Evidence`, for which it answered None.
        :return: str, a few words without secrets: `no client certificate`.
        """


@attrs.frozen
class Step:
    """One thing that was asked, and the answer in words."""

    authenticator: str
    """Name of the authenticator; "" for the end of the chain."""
    words: str

    def __str__(self) -> str:
        return f"{self.authenticator or 'nobody else'}: {self.words}"


@attrs.frozen
class Explanation:
    """Who it is, or the refusal, and all that led there."""

    steps: tuple[Step, ...]
    answer: Identity | Refusal


def explain(
    chain: AuthenticatorChain, evidence: Evidence, clock: IReactorTime, patience: float
) -> Deferred[Explanation]:
    """Ask each authenticator in turn and keep what it says.

    With authenticators that answer at once, as the built-in ones do, the
    Deferred has fired when this returns.

    :param evidence: complete; each authenticator sees of it what it would see
        of a real request.
    :param patience: seconds that all of them have together.
    :return: does not fail for a refusal: that is an `Explanation` too.
    """
    return ensureDeferred(_explain(chain, evidence, clock, patience))


async def _explain(
    chain: AuthenticatorChain, evidence: Evidence, clock: IReactorTime, patience: float
) -> Explanation:
    until = clock.seconds() + patience
    of_connection = Evidence(evidence.certificate, evidence.address)
    steps: list[Step] = []
    for authenticator in chain.authenticators:
        by_connection = authenticator.depends_on is DependsOn.CONNECTION
        seen = of_connection if by_connection else evidence
        asked = chain.ask(authenticator, seen)
        if isinstance(asked, Deferred):
            left = max(until - clock.seconds(), 0.0)
            answer: Answer = await asked.addTimeout(left, clock, lambda *_: TOO_LATE)
        else:
            answer = asked
        steps.append(Step(authenticator.name, _words(authenticator, answer, seen)))
        if answer is not None:
            return Explanation(tuple(steps), answer)
    last: Identity | Refusal = not_recognized(evidence) if evidence.certificate else ANONYMOUS
    steps.append(Step("", last.message if isinstance(last, Refusal) else "anonymous"))
    return Explanation(tuple(steps), last)


def _words(authenticator: Authenticator, answer: Answer, evidence: Evidence) -> str:
    if isinstance(answer, Refusal):
        return f"{answer.status} {answer.reason}: {answer.message}"
    if answer is None:
        explains = IExplainsSilence(authenticator, None)
        why = explains.silence(evidence) if explains is not None else "nothing here for it"
        return f"not its caller: {why}"
    words = f"{answer.kind.value} {answer.name}".rstrip()
    if answer.paths is not None:
        scope = ", ".join(pattern.pattern for pattern in answer.paths)
        words += f", scope {scope or 'empty'}"
    return words if answer.asserted else f"{words}, not told to the backend"

"""What becomes of requests says how a backend does."""

from __future__ import annotations

import inspect
import re

from twisted.internet import error
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.observe.exchanges import over
from toolforge_gateway import policy
from toolforge_gateway.interfaces import IObserver
from toolforge_gateway.observe.health import (
    BUSY,
    FAILED,
    FAILURES,
    SILENCE,
    BackendState,
    Health,
    State,
)
from toolforge_gateway.proxy import failures

NOON = 1_800_000_000.0


class HealthTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Two backends, of which nothing is known."""
        self.health = Health(["jobs-api", "builds-api"], NOON)

    def state(self, name: str = "jobs-api") -> BackendState:
        return self.health.states()[name]

    def answer(self, at: float, **said: object) -> None:
        self.health.ended(over(started=NOON + at, head_after=0.0, ended_after=0.0, **said))

    def fail_at(self, at: float, reason: str = "backend-refused") -> None:
        self.answer(at, reason=reason, status=502)

    def test_interface(self) -> None:
        """It is an observer."""
        verifyObject(IObserver, self.health)

    def test_unknown(self) -> None:
        """A backend that nobody has needed is unknown since the start, not up."""
        self.assertEqual(self.state(), BackendState(State.UNKNOWN, NOON, 0, "", None, None))

    def test_up(self) -> None:
        """The first answer makes it up, and more answers leave the moment as it is."""
        self.answer(5)
        self.answer(50)
        self.assertEqual(
            self.state(), BackendState(State.UP, NOON + 5, 0, "", None, last_answer_at=NOON + 50)
        )
        self.assertIs(self.state("builds-api").state, State.UNKNOWN)

    def test_any_answer(self) -> None:
        """A backend that answers 404 or 500 by itself answers."""
        for status in (404, 500, 503):
            health = Health(["jobs-api"], NOON)
            health.ended(over(status=status))
            self.assertIs(health.states()["jobs-api"].state, State.UP)

    def test_refusals(self) -> None:
        """What we refuse, and clients that leave, say nothing of a backend."""
        for reason, status in [
            ("foreign-tool", 403),
            ("no-evidence", 401),
            ("body-too-large", 413),
            ("too-many-requests-at-once", 503),
            ("client-left", 0),
            ("client-left", 200),
        ]:
            self.answer(1, reason=reason, status=status)
        self.assertIs(self.state().state, State.UNKNOWN)

    def test_asked(self) -> None:
        """A decision for another proxy says nothing of a backend."""
        self.answer(1, asked_by="front")
        self.assertIs(self.state().state, State.UNKNOWN)

    def test_never_answered(self) -> None:
        """One failure is enough for a backend that has never answered."""
        self.fail_at(3)
        state = self.state()
        self.assertEqual((state.state, state.since, state.failures), (State.FAILING, NOON + 3, 1))
        self.assertEqual((state.last_failure, state.last_failure_at), ("backend-refused", NOON + 3))

    def test_one_among_many(self) -> None:
        """A failure between answers is noted and changes nothing."""
        self.answer(1)
        self.fail_at(2, "backend-timeout")
        self.assertEqual((self.state().state, self.state().failures), (State.UP, 1))
        self.answer(3)
        state = self.state()
        self.assertEqual((state.state, state.since, state.failures), (State.UP, NOON + 1, 0))
        self.assertEqual(state.last_failure, "backend-timeout")

    def test_in_a_row(self) -> None:
        """So many failures in a row are failing, since the one that made it so."""
        self.answer(1)
        for number in range(FAILURES + 2):
            self.fail_at(2 + number)
        state = self.state()
        self.assertEqual((state.state, state.failures), (State.FAILING, FAILURES + 2))
        self.assertEqual(state.since, NOON + 1 + FAILURES)

    def test_after_silence(self) -> None:
        """When nobody has been answered for a while one failure is enough."""
        self.answer(1)
        self.fail_at(1 + SILENCE + 1)
        self.assertIs(self.state().state, State.FAILING)

    def test_recovers(self) -> None:
        """The next answer ends it."""
        self.fail_at(1)
        self.answer(9)
        state = self.state()
        self.assertEqual((state.state, state.since, state.failures), (State.UP, NOON + 9, 0))

    def test_old_news(self) -> None:
        """A log that was followed since long before the failure ends well: it says nothing
        of now."""
        self.fail_at(100)
        self.health.ended(over(started=NOON, head_after=0.1, ended_after=200.0))
        self.assertIs(self.state().state, State.FAILING)
        self.assertEqual(self.state().failures, 1)

    def test_old_news_while_up(self) -> None:
        """Nor does it move the last answer back."""
        self.answer(50)
        self.health.ended(over(started=NOON + 1, head_after=0.1, ended_after=100.0))
        self.assertEqual(self.state().last_answer_at, NOON + 50)

    def test_nobody(self) -> None:
        """Our own pages and strange names are nobody's business here."""
        self.answer(1, backend="", reason="own-page")
        self.answer(1, backend="nobody", reason="backend-refused")
        self.assertEqual(list(self.health.states()), ["jobs-api", "builds-api"])


class WordTests(SynchronousTestCase):
    """The words are others', and have to stay theirs."""

    def test_failures(self) -> None:
        """Every failure that the proxy knows counts as one here, but for a lack of places."""
        found = {"backend-cut"}
        for name, make in inspect.getmembers(failures, inspect.isfunction):
            if make.__module__ != failures.__name__ or name.startswith("_"):
                continue
            wants_failure = "failure" in inspect.signature(make).parameters
            for why in [error.ConnectionRefusedError(), error.TimeoutError(), OSError()]:
                said = make("jobs", Failure(why)) if wants_failure else make("jobs")
                found.add(said.reason)
        self.assertEqual(found, FAILED | BUSY)

    def test_decisions(self) -> None:
        """Every reason that a decision of the policy has is known as one."""
        source = inspect.getsource(policy)
        found = set(re.findall(r'Decision\("([a-z-]+)"', source))
        found |= set(re.findall(r'return "([a-z-]+)"', source))
        found |= set(re.findall(r'return "[a-z-]+" if \w+ else "([a-z-]+)"', source))
        self.assertEqual(found, policy.ALLOWED)

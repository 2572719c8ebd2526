"""What every authenticator has to keep to, as tests for its author to run.

Mix it into a trial test case and say what the authenticator is to do::

    class ApiKeyTest(AuthenticatorContract, SynchronousTestCase):
        factory = ApiKeyFactory()
        options = {"keys": {"k1": "mytool"}}
        identified = (Evidence(None, headers=(("x-api-key", "k1"),)),)
        refused = (Evidence(None, headers=(("x-api-key", "no"),)),)
        secrets = ("k1", "no")
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from toolforge_gateway.auth.identity import check_identity
from toolforge_gateway.auth.plugins import AuthenticatorContext
from toolforge_gateway.errors import BadEvidence
from toolforge_gateway.interfaces import IAuthenticator, IAuthenticatorFactory
from toolforge_gateway.model import DependsOn, Evidence, Identity
from toolforge_gateway.testing.options import options_of

_REASON = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST_WAIT = 60.0
"""Seconds of the test's clock; a caller will not wait as long."""


class AuthenticatorContract:
    """The tests.  A mixin for `twisted.trial.unittest.SynchronousTestCase`."""

    factory: Any
    """The plug-in, an `IAuthenticatorFactory`."""
    options: Mapping[str, object] = {}
    """Good options for `create`."""
    wrong_options: Sequence[Mapping[str, object]] = ()
    """Options that `create` must complain about."""
    folder: Path = Path(".")
    """Where relative files of the options start."""
    backends: tuple[tuple[str, str], ...] = (
        ("jobs-api", "/jobs"),
        ("components-api", "/components"),
    )
    identified: Sequence[Evidence] = ()
    """Evidence of somebody it knows; at least one."""
    silent: Sequence[Evidence] = ()
    """Evidence that it has nothing to say about, besides none at all."""
    refused: Sequence[Evidence] = ()
    """Evidence that it has to refuse."""
    secrets: Sequence[str] = ()
    """Texts that no error and no repr may show."""

    def setUp(self) -> None:
        """Build the authenticator the way the gateway does."""
        super().setUp()  # type: ignore[misc]
        self.clock = Clock()
        self.context = AuthenticatorContext(self.backends, self.clock)
        options = options_of(self.options, self.folder)
        self.authenticator = self.factory.create(options, self.context)
        options.finish()
        self.assertEqual(options.complaints, ())

    def ask(self, evidence: Evidence) -> Any:
        """Identity, None or BadEvidence, whether at once or by a Deferred."""
        try:
            answer = self.authenticator.authenticate(evidence)
        except BadEvidence as error:
            return error
        if not isinstance(answer, Deferred):
            return answer
        results: list[Any] = []
        answer.addBoth(results.append)
        if not results:
            self.clock.advance(_LONGEST_WAIT)
        self.assertTrue(results, f"no answer within {_LONGEST_WAIT} s")
        if isinstance(results[0], Failure):
            results[0].trap(BadEvidence)
            return results[0].value
        return results[0]

    def test_contract_plugin(self) -> None:
        """The factory is a plug-in that Twisted finds and we can use."""
        self.assertTrue(verifyObject(IAuthenticatorFactory, self.factory))
        self.assertTrue(IPlugin.providedBy(self.factory))
        self.assertRegex(self.factory.kind, _REASON)

    def test_contract_shape(self) -> None:
        """The authenticator declares what the chain has to know of it."""
        authenticator = self.authenticator
        self.assertTrue(verifyObject(IAuthenticator, authenticator))
        self.assertTrue(authenticator.name)
        self.assertIsInstance(authenticator.depends_on, DependsOn)
        self.assertIsInstance(authenticator.headers, frozenset)
        for header in authenticator.headers:
            self.assertEqual(header, header.lower())
        if authenticator.depends_on is DependsOn.CONNECTION:
            self.assertEqual(authenticator.headers, frozenset())

    def test_contract_unknown_key(self) -> None:
        """A key that it does not know is an error, not ignored."""
        options = options_of({**self.options, "no-such-key-at-all": 1}, self.folder)
        self.factory.create(options, self.context)
        options.finish()
        self.assertEqual([c.path for c in options.complaints], ["no-such-key-at-all"])

    def test_contract_wrong_options(self) -> None:
        """Wrong options are complaints, and no exception."""
        for wrong in self.wrong_options:
            options = options_of(wrong, self.folder)
            self.factory.create(options, self.context)
            self.assertNotEqual(options.complaints, (), wrong)

    def test_contract_identified(self) -> None:
        """Whom it knows it names as a backend may be told, the same each time."""
        self.assertTrue(self.identified, "say whom the authenticator knows")
        for evidence in self.identified:
            identity = self.ask(evidence)
            self.assertIsInstance(identity, Identity, evidence)
            self.assertEqual(check_identity(identity), identity)
            self.assertEqual(identity.authenticator, self.authenticator.name)
            self.assertEqual(self.ask(evidence), identity)

    def test_contract_silent(self) -> None:
        """Of no evidence, or somebody else's, it says nothing."""
        for evidence in (Evidence(None), *self.silent):
            self.assertIsNone(self.ask(evidence), evidence)

    def test_contract_refused(self) -> None:
        """Bad evidence is refused with a reason word and a sentence, never ignored."""
        for evidence in self.refused:
            refusal = self.ask(evidence)
            self.assertIsInstance(refusal, BadEvidence, evidence)
            self.assertIn(refusal.status, (400, 401, 403))
            self.assertRegex(refusal.reason, f"^{_REASON.pattern}$")
            self.assertTrue(refusal.message.strip())

    def test_contract_connection(self) -> None:
        """What depends on the connection depends on nothing of a request."""
        if self.authenticator.depends_on is DependsOn.REQUEST:
            return
        for evidence in (*self.identified, *self.silent):
            request = attrs.evolve(
                evidence,
                method="POST",
                path="/jobs/v1/tool/x",
                query="token=x",
                backend="jobs-api",
                headers=(("authorization", "Bearer x"),),
            )
            self.assertEqual(self.ask(request), self.ask(evidence))

    def test_contract_secrets(self) -> None:
        """No secret is in an error, an identity or the authenticator's repr."""
        shown = [repr(self.authenticator)]
        for evidence in (*self.identified, *self.refused):
            answer = self.ask(evidence)
            shown += [repr(answer), str(answer)]
        for secret in self.secrets:
            for text in shown:
                self.assertNotIn(secret, text)

    # The methods of the test case that the above relies on.
    assertEqual: Any
    assertNotEqual: Any
    assertTrue: Any
    assertIn: Any
    assertNotIn: Any
    assertIsNone: Any
    assertIsInstance: Any
    assertRegex: Any

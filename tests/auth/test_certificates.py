"""Authenticators that know callers by their certificates."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.auth.evidence import KUBERNETES, SERVICES, certificate, service, tool
from toolforge_gateway.auth.kubernetes import KubernetesCertificateFactory
from toolforge_gateway.auth.superuser import SuperuserFactory
from toolforge_gateway.errors import BadEvidence
from toolforge_gateway.model import Certificate, Evidence, Identity, Kind
from toolforge_gateway.testing.authenticators import AuthenticatorContract
from toolforge_gateway.testing.options import options_of

ADMIN = certificate(("O", "admins"), ("CN", "taavi"))


class KubernetesCertificateTest(AuthenticatorContract, SynchronousTestCase):
    factory = KubernetesCertificateFactory()
    options = {"admin_paths": ["^/jobs/v1/tool/[^/]+/jobs$"]}
    wrong_options = (
        {"organizations": "toolforge"},
        {"organizations": {"tool": ""}},
        {"organizations": {"tool": ["a"]}},
        {"organizations": {"tools": "toolforge"}},
        {"organizations": {"tool": "x", "admin": "x"}},
        {"admin_paths": "^.*$"},
        {"admin_paths": ["("]},
        {"admin_paths": [7]},
    )
    identified = (Evidence(tool("mytool")), Evidence(ADMIN))
    silent = (Evidence(service("service:x")),)
    refused = (Evidence(certificate()),)

    def kind_of(self, *subject: tuple[str, str]) -> tuple[str, Kind]:
        """Name and kind that a subject gives."""
        identity = self.ask(Evidence(certificate(*subject)))
        assert isinstance(identity, Identity), identity
        return identity.name, identity.kind

    def test_subjects(self) -> None:
        """Order and other attributes do not matter: O and CN say who it is."""
        for subject in (
            (("O", "toolforge"), ("CN", "mytool")),
            (("CN", "mytool"), ("O", "toolforge")),
            (("O", "toolforge"), ("OU", "x"), ("OU", "y"), ("CN", "mytool"), ("2.5.4.5", "7")),
        ):
            self.assertEqual(self.kind_of(*subject), ("mytool", Kind.TOOL))
        self.assertEqual(self.kind_of(("O", "admins"), ("CN", "a_b")), ("a_b", Kind.ADMIN))

    def test_admin_scope(self) -> None:
        """An administrator carries the configured paths, a tool none."""
        admin = self.ask(Evidence(ADMIN))
        self.assertEqual([p.pattern for p in admin.paths], ["^/jobs/v1/tool/[^/]+/jobs$"])
        self.assertIsNone(self.ask(Evidence(tool("a"))).paths)

    def test_refused_subjects(self) -> None:
        """Anything but one right O and one right CN is refused, and closes."""
        for subject, reason in (
            ((), "certificate-subject"),
            ((("O", "toolforge"),), "certificate-subject"),
            ((("CN", "a"),), "certificate-subject"),
            ((("O", "toolforge"), ("CN", "a"), ("CN", "a")), "certificate-subject"),
            ((("O", "toolforge"), ("O", "admins"), ("CN", "a")), "certificate-subject"),
            ((("O", "toolforge"), ("O", "toolforge"), ("CN", "a")), "certificate-subject"),
            ((("O", "Toolforge"), ("CN", "a")), "certificate-organization"),
            ((("O", "system:masters"), ("CN", "a")), "certificate-organization"),
            ((("O", "toolforge"), ("CN", "O=admins")), "certificate-subject"),
            ((("O", "toolforge"), ("CN", "a/CN=b")), "certificate-subject"),
            ((("O", "toolforge"), ("CN", "a\n")), "certificate-subject"),
            ((("O", "toolforge"), ("CN", "\u0430")), "certificate-subject"),
            ((("O", "toolforge"), ("CN", "A")), "certificate-subject"),
            ((("O", "toolforge"), ("CN", "service:components-api")), "certificate-subject"),
            ((("O", "admins"), ("CN", "a b")), "certificate-subject"),
        ):
            refusal = self.ask(Evidence(certificate(*subject)))
            self.assertIsInstance(refusal, BadEvidence, subject)
            self.assertEqual((refusal.status, refusal.reason), (403, reason), subject)
            self.assertTrue(refusal.close)

    def test_ca_vouches(self) -> None:
        """A CA that only vouches for tools makes no administrators, and the reverse."""
        for kind, other in ((Kind.TOOL, "admins"), (Kind.ADMIN, "toolforge")):
            shown = certificate(("O", other), ("CN", "a"), identifies=frozenset({kind}))
            self.assertEqual(self.ask(Evidence(shown)).reason, "certificate-kind")

    def test_shared_ca(self) -> None:
        """Where the CA vouches for services too, other subjects are left to others."""
        for subject in ((("O", "toolforge"), ("CN", "service:x")), (("O", "x"), ("CN", "a"))):
            shown = certificate(*subject, identifies=KUBERNETES | SERVICES)
            self.assertIsNone(self.ask(Evidence(shown)))

    def test_other_organizations(self) -> None:
        """The organizations are the configuration's."""
        options = options_of({"organizations": {"tool": "tools", "admin": "roots"}})
        authenticator = self.factory.create(options, self.context)
        shown = certificate(("O", "roots"), ("CN", "a"))
        self.assertIs(authenticator.authenticate(Evidence(shown)).kind, Kind.ADMIN)
        self.assertRaises(BadEvidence, authenticator.authenticate, Evidence(tool("a")))


class SuperuserTest(AuthenticatorContract, SynchronousTestCase):
    factory = SuperuserFactory()
    options = {
        "superusers": {
            "service:components-api": ["^.*$"],
            "service:jobs-api": ["^/logs/v1/tool/[^/]+/source/jobs-api/log$"],
        }
    }
    wrong_options = (
        {"superusers": "service:x"},
        {"superusers": {"service:x": "^.*$"}},
        {"superusers": {"service:x": ["("]}},
        {"superusers": {"service x": []}},
        {"superusers": ["service x"]},
        {"superusers": [7]},
        {"organization": 7},
    )
    identified = (
        Evidence(service("service:components-api")),
        Evidence(service("service:jobs-api")),
    )
    silent = (Evidence(service("service:unlisted")), Evidence(tool("service:components-api")))
    refused = (
        Evidence(
            certificate(("CN", "service:jobs-api"), ("O", "x"), client_ca="b", identifies=SERVICES)
        ),
    )

    def shown(self, *subject: tuple[str, str]) -> Certificate:
        """A certificate from a CA that vouches for services."""
        return certificate(*subject, client_ca="backend", identifies=SERVICES)

    def test_scope(self) -> None:
        """A service carries its own scope."""
        identity = self.ask(Evidence(service("service:jobs-api")))
        self.assertIs(identity.kind, Kind.SERVICE)
        self.assertEqual(
            [p.pattern for p in identity.paths], ["^/logs/v1/tool/[^/]+/source/jobs-api/log$"]
        )

    def test_refused_subjects(self) -> None:
        """Two CN, none, two O, none or a wrong one are refused."""
        name = ("CN", "service:jobs-api")
        for subject, reason in (
            ((("O", "toolforge"),), "certificate-subject"),
            ((name, name, ("O", "toolforge")), "certificate-subject"),
            ((name, ("O", "toolforge"), ("O", "toolforge")), "certificate-subject"),
            ((name,), "certificate-subject"),
            ((name, ("O", "admins")), "certificate-organization"),
        ):
            self.assertEqual(self.ask(Evidence(self.shown(*subject))).reason, reason)

    def test_plain_list(self) -> None:
        """The old plain list gives every path, and a warning."""
        options = options_of({"superusers": ["service:x"]})
        authenticator = self.factory.create(options, self.context)
        self.assertEqual(options.complaints, ())
        self.assertEqual(len(options.warnings), 1)
        self.assertIn("every path", options.warnings[0].what)
        identity = authenticator.authenticate(Evidence(service("service:x")))
        self.assertTrue(identity.paths[0].fullmatch("/jobs/v1/tool/x"))

    def test_map_does_not_warn(self) -> None:
        """A map is no reason for a warning."""
        options = options_of(self.options)
        self.factory.create(options, self.context)
        self.assertEqual(options.warnings, ())

"""Classes of client certificates, from the handshake to an identity.

The classes are those that x509-limbo (C2SP) tries on chains, made anew here, and those by which
people have got around gateways.  An outcome is `alert` where OpenSSL refuses, the reason word
where we do, and the identity's name where nobody does.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.tls.chains import (
    ANY_USAGE,
    AUTHORITY,
    DAY,
    LEAF,
    TOOL,
    Extension,
    basic,
    issue,
    key_usage,
    usages,
)
from tests.tls.pairs import Files, client_context, clock_at, shaken
from toolforge_gateway.auth.chain import AuthenticatorChain
from toolforge_gateway.auth.kubernetes import KubernetesCertificate
from toolforge_gateway.auth.superuser import Superuser
from toolforge_gateway.errors import Refusal
from toolforge_gateway.model import Evidence
from toolforge_gateway.testing import forge
from toolforge_gateway.testing.pki import CLIENT, SERVER, Authority, Issued, x509_name
from toolforge_gateway.tls.server import ServerSide

UNKNOWN: Extension = (
    x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.2"), b"\5\0"),
    True,
)
VERSIONS = (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION)


class ClassesTests(SynchronousTestCase):
    """A listener with the client CAs of the demonstration, and their authenticators."""

    def setUp(self) -> None:
        self.files = Files.make()
        self.clock = clock_at()
        self.side = ServerSide.load(self.files.settings(), self.clock)
        self.root = self.files.kubernetes.issued
        self.chain = AuthenticatorChain((KubernetesCertificate(), Superuser({})))

    def outcome(self, issued: Issued, version: int) -> str:
        """What comes of a connection with this certificate."""
        try:
            server, _ = shaken(self.side.creator, client_context(issued, version=version))
        except SSL.Error:
            return "alert"
        try:
            certificate = self.side.verifier.examine(server)
            evidence = Evidence(certificate)
            caller = self.chain.for_connection(evidence)
            identity = caller.settled(self.clock.seconds()) or caller.for_request(evidence)
            return identity.name
        except Refusal as refusal:
            return refusal.reason

    def assertOutcomes(self, table: Sequence[tuple[str, Issued, str]]) -> None:
        """Each certificate of the table comes to the outcome beside it."""
        found = [
            (what, version, got)
            for what, issued, expected in table
            for version in VERSIONS
            if (got := self.outcome(issued, version)) != expected
        ]
        self.assertEqual(found, [])

    def below(self, *extensions: Extension, name: str = "between", **more) -> Issued:
        """An intermediate authority of the Kubernetes CA."""
        return issue(self.root, [("CN", name)], extensions or AUTHORITY, **more)

    def test_good(self) -> None:
        """What is unusual but says one thing is taken."""
        elsewhere = issue(None, [("CN", "unrelated")], AUTHORITY)
        extra = issue(self.root)
        extra = Issued(extra.certificate, extra.key, (elsewhere.certificate, self.root.certificate))
        swapped = issue(issue(self.below(name="a"), [("CN", "b")], AUTHORITY))
        swapped = Issued(swapped.certificate, swapped.key, swapped.chain[::-1])
        self.assertOutcomes(
            [
                ("plain", issue(self.root), "tf-test"),
                ("no key identifiers", issue(self.root, identifiers=False), "tf-test"),
                ("no key usage", issue(self.root, TOOL, LEAF[::2]), "tf-test"),
                ("no basic constraints", issue(self.root, TOOL, LEAF[1:]), "tf-test"),
                ("the root and strangers sent along", extra, "tf-test"),
                ("intermediates in another order", swapped, "tf-test"),
                (
                    "one below a path length of 0",
                    issue(self.below(basic(True, 0), AUTHORITY[1])),
                    "tf-test",
                ),
                (
                    "intermediate for clients alone",
                    issue(self.below(*AUTHORITY, usages(CLIENT))),
                    "tf-test",
                ),
            ]
        )

    def test_authorities(self) -> None:
        """Who may not sign has signed nothing."""
        self.assertOutcomes(
            [
                ("no CA", issue(self.below(basic(False), AUTHORITY[1])), "alert"),
                ("no basic constraints", issue(self.below(AUTHORITY[1])), "alert"),
                (
                    "no certificate signing",
                    issue(self.below(basic(True), key_usage("sign revoke"))),
                    "alert",
                ),
                ("unknown critical extension", issue(self.below(*AUTHORITY, UNKNOWN)), "alert"),
                ("for servers alone", issue(self.below(*AUTHORITY, usages(SERVER))), "alert"),
                ("no extensions", issue(self.below(AUTHORITY[1], identifiers=False)), "alert"),
                ("expired", issue(self.below(dates=(-2 * DAY, -DAY))), "alert"),
                ("not valid yet", issue(self.below(dates=(DAY, 2 * DAY))), "alert"),
                ("weak", issue(self.below(key="rsa1024")), "alert"),
            ]
        )

    def test_path_length(self) -> None:
        """An authority has no more below it than it was allowed."""
        none = self.below(basic(True, 0), AUTHORITY[1], name="none")
        one = self.below(basic(True, 1), AUTHORITY[1], name="one")
        self.assertOutcomes(
            [
                (
                    "one where none is allowed",
                    issue(issue(none, [("CN", "x")], AUTHORITY)),
                    "alert",
                ),
                ("one where one is", issue(issue(one, [("CN", "x")], AUTHORITY)), "tf-test"),
                (
                    "two where one is",
                    issue(issue(issue(one, [("CN", "x")], AUTHORITY), [("CN", "y")], AUTHORITY)),
                    "alert",
                ),
                (
                    "more than it was allowed itself",
                    issue(issue(none, [("CN", "x")], (basic(True, 9), AUTHORITY[1]))),
                    "alert",
                ),
            ]
        )

    def test_strangers(self) -> None:
        """Nothing leads from a stranger to a CA of ours, whatever it calls itself."""
        name = self.files.kubernetes.certificate.subject
        look_alike = issue(None, [("CN", "kubernetes")], AUTHORITY)
        other_key = issue(None, TOOL, LEAF, issuer_name=name)
        cycle_a, cycle_b = Authority("a"), Authority("b")
        crossed = issue(cycle_b.issued, [("CN", "a")], AUTHORITY, key_pair=cycle_a.issued)
        back = issue(cycle_a.issued, [("CN", "b")], AUTHORITY, key_pair=cycle_b.issued)
        turning = issue(cycle_a.issued)
        turning = Issued(turning.certificate, turning.key, (crossed.certificate, back.certificate))
        self.assertOutcomes(
            [
                ("a CA of the same name", issue(look_alike), "alert"),
                ("its name as the issuer's", other_key, "alert"),
                ("self-signed", issue(None), "alert"),
                ("two authorities that sign each other", turning, "alert"),
                (
                    "a chain to a stranger",
                    issue(issue(look_alike, [("CN", "x")], AUTHORITY)),
                    "alert",
                ),
            ]
        )

    def test_cross_signed(self) -> None:
        """An authority of ours that a stranger has signed as well is ours all the same."""
        ours = self.below(name="crossed")
        theirs = issue(
            issue(None, [("CN", "stranger")], AUTHORITY),
            [("CN", "crossed")],
            AUTHORITY,
            key_pair=ours,
        )
        leaf = issue(ours)
        both = Issued(leaf.certificate, leaf.key, (ours.certificate, theirs.certificate))
        self.assertOutcomes([("both ways", both, "tf-test")])

    def test_name_constraints(self) -> None:
        """An authority that may only sign for some subjects has signed for no others."""

        def limited(permitted: x509.Name | None, excluded: x509.Name | None = None) -> Issued:
            constraints = x509.NameConstraints(
                [x509.DirectoryName(permitted)] if permitted else None,
                [x509.DirectoryName(excluded)] if excluded else None,
            )
            return self.below(*AUTHORITY, (constraints, True))

        toolforge, admins = x509_name([("O", "toolforge")]), x509_name([("O", "admins")])
        root = (("O", "admins"), ("CN", "root"))
        many = [
            x509.DirectoryName(x509_name([("O", "toolforge"), ("CN", f"x{n}")]))
            for n in range(2000)
        ]
        names = x509.SubjectAlternativeName([x509.DNSName(f"x{n}.example") for n in range(1000)])
        flood = self.below(*AUTHORITY, (x509.NameConstraints(None, many), True))
        self.assertOutcomes(
            [
                ("permitted", issue(limited(toolforge)), "tf-test"),
                ("not permitted", issue(limited(toolforge), root), "alert"),
                ("not excluded", issue(limited(None, admins)), "tf-test"),
                ("excluded", issue(limited(None, admins), root), "alert"),
                ("permitted and excluded", issue(limited(toolforge, toolforge)), "alert"),
                ("too many to compare", issue(flood, TOOL, (*LEAF, (names, False))), "alert"),
            ]
        )

    def test_usages(self) -> None:
        """Only what was issued for clients, to sign handshakes, speaks for one."""
        empty = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.37"), b"\x30\x00")
        self.assertOutcomes(
            [
                ("clients", issue(self.root), "tf-test"),
                (
                    "clients and servers",
                    issue(self.root, TOOL, (*LEAF[:2], usages(CLIENT, SERVER))),
                    "tf-test",
                ),
                ("none", issue(self.root, TOOL, LEAF[:2]), "certificate-usage"),
                ("servers", issue(self.root, TOOL, (*LEAF[:2], usages(SERVER))), "alert"),
                ("any", issue(self.root, TOOL, (*LEAF[:2], usages(ANY_USAGE))), "alert"),
                (
                    "no extensions",
                    issue(self.root, TOOL, (), identifiers=False),
                    "certificate-usage",
                ),
                ("an empty list", issue(self.root, TOOL, (*LEAF[:2], (empty, False))), "alert"),
                (
                    "a key that signs certificates alone",
                    issue(self.root, TOOL, (LEAF[0], key_usage("certify"), LEAF[2])),
                    "alert",
                ),
                (
                    "a key that only encrypts",
                    issue(self.root, TOOL, (LEAF[0], key_usage("encipher"), LEAF[2])),
                    "alert",
                ),
                (
                    "an authority that signs certificates alone",
                    issue(self.root, TOOL, (*AUTHORITY, usages(CLIENT))),
                    "alert",
                ),
                (
                    "an authority that may sign",
                    issue(
                        self.root, TOOL, (basic(True), key_usage("sign certify"), usages(CLIENT))
                    ),
                    "certificate-of-authority",
                ),
                ("unknown critical extension", issue(self.root, TOOL, (*LEAF, UNKNOWN)), "alert"),
            ]
        )

    def test_keys(self) -> None:
        """Weak keys are refused, in each place."""
        self.assertOutcomes(
            [
                ("RSA 1024", issue(self.root, key="rsa1024"), "alert"),
                ("RSA 2048", issue(self.root, key="rsa2048"), "tf-test"),
                (
                    "SHA-1",
                    forge.with_hash(self.files.kubernetes, issue(self.root), "sha1"),
                    "alert",
                ),
            ]
        )

    def test_dates(self) -> None:
        """In date to the second."""
        self.assertOutcomes(
            [
                ("expired", issue(self.root, dates=(-DAY, -DAY / 86400)), "alert"),
                ("not yet", issue(self.root, dates=(DAY / 24, DAY)), "alert"),
                ("the other way round", issue(self.root, dates=(-DAY, -DAY / 2)), "alert"),
            ]
        )

    def test_subjects(self) -> None:
        """A subject names one tool in one way, or nobody."""

        def named(*attributes: tuple[str, int, bytes]) -> Issued:
            return forge.with_subject(
                self.files.kubernetes, issue(self.root), forge.name(*attributes)
            )

        organization = ("O", forge.UTF8, b"toolforge")

        def cn(value: str | bytes, tag: int = forge.UTF8) -> Issued:
            value = value.encode() if isinstance(value, str) else value
            return named(organization, ("CN", tag, value))

        two = ("CN", forge.UTF8, b"a"), ("CN", forge.UTF8, b"b")
        self.assertOutcomes(
            [
                ("right", cn("a"), "a"),
                ("nothing", named(), "certificate-subject"),
                ("no CN", named(organization), "certificate-subject"),
                ("no O", named(two[0]), "certificate-subject"),
                ("two CN", named(organization, *two), "certificate-subject"),
                ("one CN twice", named(organization, two[0], two[0]), "certificate-subject"),
                (
                    "two O",
                    named(organization, ("O", forge.UTF8, b"admins"), two[0]),
                    "certificate-subject",
                ),
                ("empty CN", cn(""), "certificate-subject"),
                ("NUL", cn("a\0b"), "certificate-subject"),
                ("newline", cn("a\n"), "certificate-subject"),
                ("carriage return", cn("a\r"), "certificate-subject"),
                ("O= inside", cn("a,O=admins"), "certificate-subject"),
                ("/O= inside", cn("a/O=admins"), "certificate-subject"),
                ("/CN= inside", cn("/CN=a"), "certificate-subject"),
                ("a path", cn("../a"), "certificate-subject"),
                ("space before", cn(" a"), "certificate-subject"),
                ("space behind", cn("a "), "certificate-subject"),
                ("upper case", cn("A"), "certificate-subject"),
                ("Cyrillic a", cn("\u0430"), "certificate-subject"),
                ("full-width a", cn("\uff41"), "certificate-subject"),
                ("soft hyphen", cn("a\u00ad"), "certificate-subject"),
                ("override of direction", cn("a\u202e"), "certificate-subject"),
                ("combining", cn("a\u0301"), "certificate-subject"),
                ("BMPString", cn("a".encode("utf-16-be"), forge.BMP), "certificate-subject"),
                ("T61String", cn("a", forge.T61), "certificate-subject"),
                ("PrintableString", cn("a", forge.PRINTABLE), "a"),
                (
                    "O in upper case",
                    named(("O", forge.UTF8, b"TOOLFORGE"), two[0]),
                    "certificate-organization",
                ),
                (
                    "O with a NUL",
                    named(("O", forge.UTF8, b"toolforge\0"), two[0]),
                    "certificate-subject",
                ),
                (
                    "another O",
                    named(("O", forge.UTF8, b"system:masters"), two[0]),
                    "certificate-organization",
                ),
                ("a service's name", cn("service:components-api"), "certificate-subject"),
                ("64 kB", cn("a" * 65000), "certificate-subject"),
            ]
        )

    def test_kinds(self) -> None:
        """A CA vouches for its own kinds alone."""
        backend = self.files.backend.issued
        service = (("O", "toolforge"), ("CN", "service:components-api"))
        admin = (("O", "admins"), ("CN", "root"))
        self.assertOutcomes(
            [
                ("a tool of the backends' CA", issue(backend), "certificate-not-recognized"),
                (
                    "an admin of the backends' CA",
                    issue(backend, admin),
                    "certificate-not-recognized",
                ),
                ("a service of the tools' CA", issue(self.root, service), "certificate-subject"),
                ("our own certificate's CA", self.files.server.issue(), "alert"),
            ]
        )

    def test_numbers(self) -> None:
        """Odd serial numbers break nothing."""
        for serial in (1, (1 << 159) - 1):
            self.assertOutcomes([("serial", issue(self.root, serial=serial), "tf-test")])

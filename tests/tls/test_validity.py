"""What runs out, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from twisted.trial.unittest import SynchronousTestCase

from tests.tls.pairs import ORIGIN, Files, clock_at
from toolforge_gateway.config.values import UpstreamTLS
from toolforge_gateway.testing.pki import CLIENT, Authority
from toolforge_gateway.tls.client import UpstreamSide
from toolforge_gateway.tls.server import ServerSide
from toolforge_gateway.tls.validity import LONGEST_NAME, of_listener, of_upstream, once_each

DAY = 86400


def days(ends: float | None) -> float | None:
    """How far away a moment is."""
    return None if ends is None else round((ends - datetime.now(UTC).timestamp()) / DAY, 1)


class ListenerTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A listener's files."""
        self.files = Files.make()

    def said(self, **settings: object) -> dict[str, tuple[str, float | None]]:
        self.side = ServerSide.load(self.files.settings(**settings), clock_at())  # type: ignore[arg-type]
        found = of_listener("tcp:8443", self.side)
        self.assertEqual(len({each.name for each in found}), len(found), "names tell them apart")
        return {each.name: (each.kind, days(each.ends)) for each in found}

    def test_plain(self) -> None:
        """Our certificate and each client CA."""
        self.assertEqual(
            self.said(),
            {
                "server certificate of tcp:8443": ("server", 30.0),
                "client CA kubernetes": ("client-ca", 30.0),
                "client CA backend": ("client-ca", 30.0),
            },
        )

    def test_list(self) -> None:
        """A revocation list ends with its nextUpdate; a new file is seen when it is taken up."""

        def write(hours: int) -> None:
            until = datetime.now(UTC) + timedelta(hours=hours)
            crl = self.files.kubernetes.revocation_list(next_update=until)
            (self.files.directory / "new").write_bytes(crl)
            (self.files.directory / "new").rename(self.files.directory / "crl")

        write(24)
        crl = self.files.write("crl", (self.files.directory / "crl").read_bytes())
        said = self.said(crl=crl)
        self.assertEqual(said["revocation list of kubernetes"], ("revocation-list", 1.0))
        self.assertNotIn("revocation list of backend", said)
        write(72)
        self.side.refresh()
        (renewed,) = [each for each in of_listener("", self.side) if each.kind == "revocation-list"]
        self.assertEqual(days(renewed.ends), 3.0)

    def test_two_authorities(self) -> None:
        """A CA that is about to be replaced has two certificates, which are told apart; one
        without a list of its own says that it is missing."""
        newer = Authority("kubernetes-2", lifetime=timedelta(days=90))
        self.files.write("both.crt", self.files.kubernetes.pem + newer.pem)
        crl = self.files.write("crl", newer.revocation_list())
        said = self.said(kubernetes_ca="both.crt", crl=crl)
        self.assertEqual(said["client CA kubernetes (1 of 2)"], ("client-ca", 30.0))
        self.assertEqual(said["client CA kubernetes (2 of 2)"], ("client-ca", 90.0))
        self.assertEqual(said["revocation list of kubernetes (1 of 2)"][1], None)
        self.assertEqual(said["revocation list of kubernetes (2 of 2)"][1], 1.0)

    def test_chain(self) -> None:
        """Our certificate ends with the first of its chain."""
        middle = Authority("middle", parent=self.files.server, lifetime=timedelta(days=3))
        issued = middle.issue(
            [("CN", "api")],
            usages=None,
            names=["api.example.org"],
            not_after=datetime.now(UTC) + timedelta(days=20),
        )
        self.files.write("server.crt", issued.certificate_pem + middle.pem)
        self.files.write("server.key", issued.key_pem)
        self.assertLess(self.said()["server certificate of tcp:8443"][1] or 0, 3.1)

    def test_no_clients(self) -> None:
        """A listener that asks for no certificates has only its own."""
        self.assertEqual(
            list(self.said(client_certificate="none")), ["server certificate of tcp:8443"]
        )

    def test_long_subject(self) -> None:
        """A subject of any length is cut."""
        subject = [("O", "x" * 64)] * 20 + [("CN", "api")]
        issued = self.files.server.issue(subject, usages=None, names=["api.example.org"])
        self.files.write("server.crt", issued.certificate_pem)
        self.files.write("server.key", issued.key_pem)
        self.said()
        self.assertEqual(len(of_listener("", self.side)[0].subject), LONGEST_NAME + 1)


class UpstreamTests(SynchronousTestCase):
    def test_both(self) -> None:
        """What we show to backends, and by whom we know them."""
        files = Files.make()
        issued = files.backend.issue([("CN", "gateway")], usages=[CLIENT])
        tls = UpstreamTLS(
            files.write("both.crt", files.backend.pem + Authority("next").pem),
            files.write("client.crt", issued.certificate_pem),
            files.write("client.key", issued.key_pem),
            ORIGIN,
        )
        found = of_upstream(UpstreamSide.load(tls, clock_at()))
        self.assertEqual(
            [(each.name, each.kind, each.subject) for each in found],
            [
                ("certificate shown to backends", "upstream", "CN=gateway"),
                ("CA of the backends (1 of 2)", "upstream-ca", "CN=backend"),
                ("CA of the backends (2 of 2)", "upstream-ca", "CN=next"),
            ],
        )
        self.assertEqual(len(once_each([*found, *found])), 3)

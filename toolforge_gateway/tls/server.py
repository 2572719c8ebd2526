"""TLS towards clients: everything of one listener."""

from __future__ import annotations

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL
from twisted.internet.interfaces import IReactorTime

from toolforge_gateway.config.values import ClientCA, ServerTLS
from toolforge_gateway.tls.files import (
    Findings,
    not_after,
    read_authorities,
    read_key_pair,
    same_name,
)
from toolforge_gateway.tls.names import CertificateNames
from toolforge_gateway.tls.options import GatewayCertificateOptions, weakness
from toolforge_gateway.tls.revocation import ListFile
from toolforge_gateway.tls.verifier import Anchor, ClientVerifier


@attrs.frozen
class ServerSide:
    """What a listener needs in order to speak TLS, ready to use."""

    creator: GatewayCertificateOptions
    """Makes the connection object of each new client
    (`IOpenSSLServerConnectionCreator`)."""
    verifier: ClientVerifier
    certificate_names: CertificateNames

    @property
    def names(self) -> tuple[str, ...]:
        """DNS names and addresses of our certificate."""
        return self.certificate_names.texts()

    def names_host(self, host: bytes) -> bool:
        """Whether our certificate covers this Host value."""
        return self.certificate_names.covers(host)

    @property
    def revokes(self) -> bool:
        """Whether any client CA has revocation lists."""
        return any(anchor.lists is not None for anchor in self.verifier.anchors.values())

    def refresh(self) -> bool:
        """Take up revocation lists whose files have changed.

        :return: whether there are new ones: connections that were examined
            before have to be examined again.
        """
        files = {anchor.lists for anchor in self.verifier.anchors.values()} - {None}
        now = self.verifier.clock.seconds()
        renewed = [lists.refresh(now) for lists in files if lists is not None]
        return any(renewed)  # and all of them were asked

    @classmethod
    def load(cls, tls: ServerTLS, clock: IReactorTime) -> ServerSide:
        """Read and check all files of one listener.

        :param clock: its `seconds()` are POSIX time.
        :raise ConfigurationError: with all complaints.
        """
        findings = Findings(clock.seconds())
        pair = read_key_pair(
            tls.certificate, tls.private_key, ExtendedKeyUsageOID.SERVER_AUTH, findings
        )
        trusted: list[x509.Certificate] = []
        anchors: dict[bytes, Anchor] = {}
        if tls.client_certificate != "none":
            owners: list[tuple[x509.Certificate, ClientCA]] = []
            for client_ca in tls.client_cas:
                for certificate, anchor in _read_client_ca(client_ca, findings):
                    _check_name(certificate, client_ca, owners, findings)
                    owners.append((certificate, client_ca))
                    trusted.append(certificate)
                    anchors[certificate.public_bytes(Encoding.DER)] = anchor
        findings.raise_if_any()
        assert pair is not None, "None only after a complaint"
        creator = GatewayCertificateOptions(
            pair, trusted, required=tls.client_certificate == "required", for_server=True
        )
        try:
            creator.getContext()
        except SSL.Error as error:
            findings.complain(tls.certificate, *weakness(error))
            findings.raise_if_any()
        return cls(creator, ClientVerifier(anchors, clock), CertificateNames.of(pair.certificate))


def _read_client_ca(
    client_ca: ClientCA, findings: Findings
) -> list[tuple[x509.Certificate, Anchor]]:
    """The anchors of one entry of `client_cas`."""
    authorities = read_authorities(client_ca.ca, findings)
    lists = None
    if client_ca.crl is not None and authorities:
        lists = ListFile(client_ca.crl, authorities, findings)
    return [
        (
            certificate,
            Anchor(
                client_ca=client_ca.name,
                identifies=client_ca.identifies,
                not_after=not_after(certificate),
                lists=lists,
                index=index,
            ),
        )
        for index, certificate in enumerate(authorities)
    ]


def _check_name(
    certificate: x509.Certificate,
    client_ca: ClientCA,
    owners: list[tuple[x509.Certificate, ClientCA]],
    findings: Findings,
) -> None:
    """Two client CAs of one DN confuse the builder of chains, and people."""
    for other, owner in owners:
        if owner is not client_ca and same_name(certificate, other):
            findings.complain(
                client_ca.ca,
                f"has the same subject DN as the client CA {owner.name!r}"
                f" ({certificate.subject.rfc4514_string()})",
                "each client CA needs a DN of its own",
            )
            return

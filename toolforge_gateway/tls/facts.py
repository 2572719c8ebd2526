"""What a client's certificate says, judged by itself alone.

A pure function of the certificate, and remembered: nearly every call of a
command line client is a new connection with the same certificate.
"""

from __future__ import annotations

import hashlib

import attrs
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto

from toolforge_gateway.dn import parse_der
from toolforge_gateway.errors import BadEvidence
from toolforge_gateway.model import DistinguishedName
from toolforge_gateway.tls.files import (
    extended_key_usages,
    is_authority,
    not_after,
    not_before,
)

REMEMBERED = 1024
"""Certificates; about 3 kB each."""


@attrs.frozen
class Facts:
    """Of a certificate that may stand for a client, whoever issued it."""

    subject: DistinguishedName
    serial: int
    not_before: float
    not_after: float
    fingerprint: str


class FactsMemory:
    """Reads certificates, each once; forgets the oldest when there are many."""

    def __init__(self, remembered: int = REMEMBERED):
        self.remembered = remembered
        self._known: dict[bytes, Facts] = {}

    def __len__(self) -> int:
        return len(self._known)

    def of(self, certificate: crypto.X509) -> Facts:
        """The facts of an end entity's certificate that OpenSSL has verified.

        :raise BadEvidence: 403; not remembered.
        """
        der = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
        facts = self._known.get(der)
        if facts is None:
            facts = read_facts(der, certificate.get_subject().der())
            if len(self._known) >= self.remembered:
                del self._known[next(iter(self._known))]
            self._known[der] = facts
        return facts


def read_facts(der: bytes, subject: bytes) -> Facts:
    """Read a certificate.

    OpenSSL takes one without an extended key usage as fit for everything.  We
    do not: certificates of one CA serve backends and clients, and only those
    that were issued for clients may speak for one.

    :param subject: the subject's bytes as OpenSSL has kept them; cryptography
        would write the name anew.
    :raise BadEvidence: 403.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        usages = extended_key_usages(certificate)
        signs_others = is_authority(certificate)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise refused(
            "certificate-unreadable",
            "your certificate has parts that cannot be read; have a new one issued",
        ) from None
    if usages is None or ExtendedKeyUsageOID.CLIENT_AUTH not in usages:
        raise refused(
            "certificate-usage",
            "your certificate is not issued for clients (extended key usage clientAuth);"
            " use a client certificate",
        )
    if signs_others:
        raise refused(
            "certificate-of-authority", "an authority is no client; use a client certificate"
        )
    try:
        name = parse_der(subject)
    except ValueError as error:
        raise refused(
            "certificate-subject",
            f"your certificate's subject is not acceptable: {error}; have a new one issued",
        ) from None
    return Facts(
        subject=name,
        serial=certificate.serial_number,
        not_before=not_before(certificate),
        not_after=not_after(certificate),
        fingerprint=hashlib.sha256(der).hexdigest(),
    )


def refused(reason: str, message: str) -> BadEvidence:
    """A certificate that is no good: 403, and the connection closes."""
    return BadEvidence(403, reason, message, close=True)

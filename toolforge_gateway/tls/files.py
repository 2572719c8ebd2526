"""Certificates and keys from files, with every complaint at once.

Each reader returns what it could read and tells `Findings` the rest; nothing
that came with a complaint is ever used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto

from toolforge_gateway.config.values import SettingFile
from toolforge_gateway.errors import Complaint, ConfigurationError
from toolforge_gateway.tls.chain import stranger
from toolforge_gateway.tls.options import CertificateKey, KeyPair

_USAGE_NAMES = {
    ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
    ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
}


@attrs.define
class Findings:
    """Complaints gathered so far, and the time they are made at."""

    now: float
    """POSIX seconds."""
    complaints: list[Complaint] = attrs.field(factory=list)
    content: Callable[[Path], bytes] = Path.read_bytes
    """Where the files' bytes come from; raises OSError."""

    def complain(self, setting: SettingFile, what: str, remedy: str = "") -> None:
        """Record what is wrong with a file."""
        self.complaints.append(setting.origin.complaint(f"{setting.path} {what}", remedy))

    def raise_if_any(self) -> None:
        """End here when something was wrong.

        :raise ConfigurationError: with all complaints.
        """
        if self.complaints:
            raise ConfigurationError(self.complaints)


def read_bytes(setting: SettingFile, findings: Findings) -> bytes | None:
    """The content of a file; None after a complaint."""
    try:
        return findings.content(setting.path)
    except OSError as error:
        findings.complain(
            setting, f"cannot be read: {error.strerror}", "name a file that this user may read"
        )
        return None


def read_certificates(setting: SettingFile, findings: Findings) -> tuple[x509.Certificate, ...]:
    """All certificates of a PEM file; none of them after a complaint."""
    data = read_bytes(setting, findings)
    if data is None:
        return ()
    begin, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    blocks = [begin + rest.partition(end)[0] + end + b"\n" for rest in data.split(begin)[1:]]
    try:
        certificates = tuple(map(_load, blocks))
    except Exception:
        # The libraries have as many exceptions for this as there are ways to be broken.
        findings.complain(setting, "has a certificate that cannot be read", "write it in PEM form")
        return ()
    if not certificates:
        findings.complain(setting, "has no certificate in it", "write one in PEM form")
    return certificates


def _load(pem: bytes) -> x509.Certificate:
    """A certificate whose parts can be read, all that somebody asks for later."""
    certificate = x509.load_pem_x509_certificate(pem)
    _ = (certificate.subject, certificate.issuer, certificate.extensions)
    crypto.X509.from_cryptography(certificate)
    return certificate


def read_authorities(setting: SettingFile, findings: Findings) -> tuple[x509.Certificate, ...]:
    """The trust anchors of a PEM file; none of them after a complaint.

    Several are fine, as when a CA is about to be replaced; then it is enough
    that one of them is in date.
    """
    certificates = read_certificates(setting, findings)
    before = len(findings.complaints)
    for certificate in certificates:
        name = named(certificate)
        if not is_authority(certificate):
            findings.complain(
                setting, f"has a certificate of no authority ({name})", "give the CA's certificate"
            )
        elif certificate.issuer != certificate.subject:
            findings.complain(
                setting,
                f"has an intermediate authority ({name})",
                "give the self-signed root; peers send the intermediates",
            )
    if certificates and all(not_after(each) <= findings.now for each in certificates):
        findings.complain(setting, "has expired", "give the CA's new certificate")
    return certificates if len(findings.complaints) == before else ()


def read_key_pair(
    certificate_file: SettingFile,
    key_file: SettingFile,
    usage: x509.ObjectIdentifier,
    findings: Findings,
) -> KeyPair | None:
    """A certificate of ours with its key; None after a complaint.

    :param usage: what the certificate must be fit for; one without an extended
        key usage is fit for all.
    """
    certificates = read_certificates(certificate_file, findings)
    data = read_bytes(key_file, findings)
    if not certificates or data is None:
        return None
    before = len(findings.complaints)
    own, *chain = certificates
    if not_after(own) <= findings.now:
        findings.complain(certificate_file, "has expired", "renew it")
    if not_before(own) > findings.now:
        findings.complain(certificate_file, "is not valid yet", "wait, or set the clock")
    usages = extended_key_usages(own)
    if usages is not None and usage not in usages:
        findings.complain(
            certificate_file,
            f"is not issued for {_USAGE_NAMES[usage]}",
            "have it issued with that extended key usage",
        )
    _check_chain(certificates, certificate_file, findings)
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except TypeError:
        findings.complain(key_file, "is encrypted", "write the key without a passphrase")
        return None
    except ValueError:
        findings.complain(key_file, "is no private key", "write it in PEM form")
        return None
    except UnsupportedAlgorithm:
        key = None
    if not isinstance(key, CertificateKey):
        findings.complain(key_file, "is a key of another kind", "use an RSA or ECDSA key")
        return None
    try:
        public = own.public_key()
    except (ValueError, UnsupportedAlgorithm):
        findings.complain(certificate_file, "is for a key of another kind", "use RSA or ECDSA")
        return None
    if _public_bytes(key.public_key()) != _public_bytes(public):
        findings.complain(
            key_file,
            f"is not the key of {certificate_file.path}",
            "the first certificate of that file must be the one of this key",
        )
    return KeyPair(own, key, tuple(chain)) if len(findings.complaints) == before else None


def _check_chain(
    certificates: Sequence[x509.Certificate], setting: SettingFile, findings: Findings
) -> None:
    """What is wrong with the certificates behind our own."""
    for each in certificates[1:]:
        if not_after(each) <= findings.now:
            findings.complain(
                setting, f"has an expired intermediate ({named(each)})", "give the present one"
            )
    odd = stranger(certificates)
    if odd is not None:
        findings.complain(
            setting,
            f"has a certificate that issued none of those before it ({named(odd)})",
            "write ours first, then the one that issued it, and so on; leave out all others",
        )


def named(certificate: x509.Certificate) -> str:
    """Its subject by RFC 4514, for people."""
    return certificate.subject.rfc4514_string() or "one without a name"


def same_name(one: x509.Certificate, other: x509.Certificate) -> bool:
    """Whether OpenSSL takes two subjects for one DN (case and spaces folded)."""
    return bool(
        crypto.X509.from_cryptography(one).get_subject()
        == crypto.X509.from_cryptography(other).get_subject()
    )


def extended_key_usages(
    certificate: x509.Certificate,
) -> Sequence[x509.ObjectIdentifier] | None:
    """The extended key usages; None: no such extension."""
    try:
        return tuple(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return None


def not_before(certificate: x509.Certificate) -> float:
    """The beginning of its validity, POSIX seconds."""
    aware: datetime | None = getattr(certificate, "not_valid_before_utc", None)
    # cryptography before 42 has naive UTC times alone.
    return (aware or certificate.not_valid_before.replace(tzinfo=UTC)).timestamp()


def not_after(certificate: x509.Certificate) -> float:
    """The end of its validity, POSIX seconds."""
    aware: datetime | None = getattr(certificate, "not_valid_after_utc", None)
    return (aware or certificate.not_valid_after.replace(tzinfo=UTC)).timestamp()


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may sign others."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    return constraints.ca


def _public_bytes(key: object) -> bytes:
    data: bytes = key.public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return data

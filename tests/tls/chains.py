"""Chains that no sensible authority would issue, certificate by certificate."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from toolforge_gateway.testing.pki import CLIENT, Issued, Subject, new_key, x509_name

Extension = tuple[x509.ExtensionType, bool]
TOOL: Subject = (("O", "toolforge"), ("CN", "tf-test"))
DAY = timedelta(days=1)

_FLAGS = {
    "sign": "digital_signature",
    "agree": "key_agreement",
    "encipher": "key_encipherment",
    "certify": "key_cert_sign",
    "revoke": "crl_sign",
}


def key_usage(words: str) -> Extension:
    """A critical key usage of words: sign, agree, encipher, certify, revoke."""
    named = {_FLAGS[word] for word in words.split()}
    others = ("content_commitment", "data_encipherment", "encipher_only", "decipher_only")
    flags = {name: name in named for name in (*_FLAGS.values(), *others)}
    return x509.KeyUsage(**flags), True


def basic(ca: bool, path_length: int | None = None) -> Extension:
    """A critical basic constraint."""
    return x509.BasicConstraints(ca=ca, path_length=path_length), True


def usages(*oids: x509.ObjectIdentifier) -> Extension:
    """An extended key usage."""
    return x509.ExtendedKeyUsage(oids), False


AUTHORITY: tuple[Extension, ...] = (basic(True), key_usage("certify revoke"))
LEAF: tuple[Extension, ...] = (basic(False), key_usage("sign"), usages(CLIENT))
ANY_USAGE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE


def issue(
    issuer: Issued | None,
    subject: Subject = TOOL,
    extensions: Sequence[Extension] = LEAF,
    *,
    key: str = "ec",
    serial: int | None = None,
    issuer_name: x509.Name | None = None,
    identifiers: bool = True,
    key_pair: Issued | None = None,
    dates: tuple[timedelta, timedelta] = (-DAY, DAY),
) -> Issued:
    """Sign a certificate, whatever it says.

    :param issuer: None: self-signed.
    :param extensions: with whether each is critical.
    :param identifiers: whether it has the key identifiers that chains are found by.
    :param key_pair: whose key it is for, in place of a new one.
    :param dates: first and last moment, from now.
    """
    own = key_pair.key if key_pair else new_key(key)
    signer = issuer.key if issuer else own
    now = datetime.now(UTC).replace(microsecond=0)
    name = x509_name(subject)
    if issuer_name is None:
        issuer_name = issuer.certificate.subject if issuer else name
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer_name)
        .public_key(own.public_key())
        .serial_number(serial if serial is not None else x509.random_serial_number())
        .not_valid_before(now + dates[0])
        .not_valid_after(now + dates[1])
    )
    if identifiers:
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(own.public_key()), False
        ).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False
        )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    rest = (issuer.certificate, *issuer.chain) if issuer else ()
    return Issued(builder.sign(signer, hashes.SHA256()), own, rest)

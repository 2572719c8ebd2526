"""A client's certificate, or its subject, as proxies write it into one header.

===========  ==================================================================
nginx        `$ssl_client_escaped_cert`: PEM, percent-encoded
Traefik      base64 of DER, percent-encoded or not; the leaf, then intermediates
Caddy        base64 of DER
HAProxy      `ssl_c_der,base64`: base64 of DER
Envoy        X-Forwarded-Client-Cert with Cert, and Chain
any          the subject as text (RFC 4514, RFC 2253)
===========  ==================================================================
"""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

import attrs

from toolforge_gateway.dn import parse_text
from toolforge_gateway.errors import Refusal
from toolforge_gateway.forwardauth.xfcc import read_element
from toolforge_gateway.model import DistinguishedName

LONGEST_CHAIN = 8
"""Certificates; more than any chain that could be verified."""

_ESCAPES = re.compile(rb"(?>(?:[^%]|%[0-9A-Fa-f]{2})*)")
_BLOCK = re.compile(
    rb"\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]++)-----END CERTIFICATE-----\s*"
)
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{64,}={0,2}")


@attrs.frozen
class Shown:
    """What a proxy shows of its client: certificates or a subject alone."""

    certificates: tuple[bytes, ...] = ()
    """DER, the client's own first; empty where there is the subject alone."""
    subject: DistinguishedName | None = None


def read_shown(value: bytes, dialect: str) -> Shown:
    """Read the header.

    :param value: not empty.
    :param dialect: `envoy` writes X-Forwarded-Client-Cert, the others the rest.
    :raise Refusal: 403 `bad-certificate-header`.
    """
    try:
        return _read_xfcc(value) if dialect == "envoy" else _read_plain(value)
    except ValueError as error:
        raise Refusal(
            403,
            "bad-certificate-header",
            f"the header in which the proxy shows its client's certificate {error}",
        ) from None


def _read_plain(value: bytes) -> Shown:
    certificates = _read_certificates(value)
    if certificates:
        return Shown(certificates)
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("is not text") from None
    try:
        return Shown(subject=parse_text(text))
    except ValueError as error:
        raise ValueError(f"is neither a certificate nor a subject: {error}") from None


def _read_xfcc(value: bytes) -> Shown:
    found = read_element(value.decode("latin-1"))
    leaf = _read_certificates(found.get("cert", "").encode("latin-1"))
    chain = _read_certificates(found.get("chain", "").encode("latin-1"))
    if len(leaf) > 1 or leaf and chain and leaf[0] != chain[0]:
        raise ValueError("has a Cert and a Chain that do not go together")
    if leaf or chain:
        return Shown(chain or leaf)
    if ("cert" in found and found["cert"]) or ("chain" in found and found["chain"]):
        raise ValueError("has a certificate that cannot be read")
    if not found.get("subject"):
        raise ValueError(
            "has neither Cert nor Subject; set_current_client_cert_details: {cert: true}"
        )
    try:
        subject = parse_text(found["subject"].encode("latin-1").decode("utf-8"))
    except ValueError as error:
        raise ValueError(f"has a Subject that cannot be read: {error}") from None
    return Shown(subject=subject)


def _read_certificates(value: bytes) -> tuple[bytes, ...]:
    """Certificates in PEM or base64, percent-encoded or not; none: it is something else.

    :raise ValueError: it is that, but damaged.
    """
    if b"%" in value:
        if not _ESCAPES.fullmatch(value):
            return ()
        value = unquote_to_bytes(value)
    if value.lstrip().startswith(b"-----BEGIN"):
        blocks, at = [], 0
        while at < len(value):
            match = _BLOCK.match(value, at)
            if match is None:
                raise ValueError("has PEM that is damaged")
            blocks.append(b"".join(match[1].split()))
            at = match.end()
    else:
        blocks = value.split(b",")
        if not all(map(_BASE64.fullmatch, blocks)):
            return ()
    if len(blocks) > LONGEST_CHAIN:
        raise ValueError(f"has more than {LONGEST_CHAIN} certificates")
    try:
        return tuple(base64.b64decode(block, validate=True) for block in blocks)
    except binascii.Error:
        raise ValueError("has base64 that is damaged") from None

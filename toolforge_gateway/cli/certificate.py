"""Judging a certificate from a file as a listener would judge it from a client."""

from __future__ import annotations

import re
from pathlib import Path

from OpenSSL import crypto

from toolforge_gateway.errors import GatewayError
from toolforge_gateway.model import Certificate
from toolforge_gateway.tls.server import ServerSide
from toolforge_gateway.tls.shown import ShownCertificates, Unverified

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class Unreadable(GatewayError):
    """The file holds no certificate; says so in a sentence."""


class HandshakeWouldFail(GatewayError):
    """OpenSSL would refuse the certificate: the client sees a TLS alert, no answer."""


def examine(side: ServerSide, file: Path) -> Certificate:
    """Verify a client's certificate without a handshake, so without its key.

    :param side: the listener's.
    :param file: the certificate (PEM) and, after it, those between it and its authority.
    :raise Unreadable: the file is not that.
    :raise HandshakeWouldFail: no chain leads to one of the listener's client CAs.
    :raise BadEvidence: it does, but we refuse the certificate.
    """
    try:
        return ShownCertificates(side.verifier).examine(_read(file))
    except Unverified as error:
        raise HandshakeWouldFail(error.why) from None


def _read(file: Path) -> list[bytes]:
    try:
        blocks = _PEM.findall(file.read_bytes())
        certificates = [
            crypto.dump_certificate(
                crypto.FILETYPE_ASN1, crypto.load_certificate(crypto.FILETYPE_PEM, block)
            )
            for block in blocks
        ]
    except OSError as error:
        raise Unreadable(f"{file} cannot be read: {error.strerror}") from None
    except (crypto.Error, ValueError):
        raise Unreadable(f"{file} has a certificate that cannot be read") from None
    if not certificates:
        raise Unreadable(f"{file} has no certificate in it; give one in PEM form")
    return certificates

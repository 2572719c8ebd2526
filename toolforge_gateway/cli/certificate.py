"""Judging a certificate from a file as a listener would judge it from a client."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import attrs
from OpenSSL import SSL, crypto

from toolforge_gateway.errors import GatewayError
from toolforge_gateway.model import Certificate
from toolforge_gateway.tls.server import ServerSide

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class Unreadable(GatewayError):
    """The file holds no certificate; says so in a sentence."""


class HandshakeWouldFail(GatewayError):
    """OpenSSL would refuse the certificate: the client sees a TLS alert, no answer."""


@attrs.frozen
class _Shown:
    """The little that a verifier asks of a connection after the handshake."""

    chain: list[crypto.X509]

    def get_verified_chain(self) -> list[crypto.X509]:
        return self.chain

    def get_peer_certificate(self) -> crypto.X509:
        return self.chain[0]


def examine(side: ServerSide, file: Path) -> Certificate:
    """Verify a client's certificate without a handshake, so without its key.

    :param side: the listener's.
    :param file: the certificate (PEM) and, after it, those between it and its authority.
    :raise Unreadable: the file is not that.
    :raise HandshakeWouldFail: no chain leads to one of the listener's client CAs.
    :raise BadEvidence: it does, but we refuse the certificate.
    """
    certificates = _read(file)
    store = crypto.X509Store()
    for der in side.verifier.anchors:
        store.add_cert(crypto.load_certificate(crypto.FILETYPE_ASN1, der))
    context = crypto.X509StoreContext(store, certificates[0], certificates[1:])
    try:
        chain = context.get_verified_chain()
    except crypto.X509StoreContextError as error:
        raise HandshakeWouldFail(str(error)) from None
    certificate = side.verifier.examine(cast(SSL.Connection, _Shown(chain)))
    assert certificate is not None, "None only where no certificate was shown"
    return certificate


def _read(file: Path) -> list[crypto.X509]:
    try:
        blocks = _PEM.findall(file.read_bytes())
        certificates = [crypto.load_certificate(crypto.FILETYPE_PEM, block) for block in blocks]
    except OSError as error:
        raise Unreadable(f"{file} cannot be read: {error.strerror}") from None
    except (crypto.Error, ValueError):
        raise Unreadable(f"{file} has a certificate that cannot be read") from None
    if not certificates:
        raise Unreadable(f"{file} has no certificate in it; give one in PEM form")
    return certificates

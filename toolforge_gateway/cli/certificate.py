"""Reading a client's certificate from a file."""

from __future__ import annotations

import re
from pathlib import Path

from OpenSSL import crypto

from toolforge_gateway.errors import GatewayError

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class Unreadable(GatewayError):
    """The file holds no certificate; says so in a sentence."""


def read_certificates(file: Path) -> tuple[bytes, ...]:
    """The certificates of a file, as DER.

    :param file: the certificate (PEM) and, after it, those between it and its authority.
    :raise Unreadable: the file is not that.
    """
    try:
        blocks = _PEM.findall(file.read_bytes())
        certificates = tuple(
            crypto.dump_certificate(
                crypto.FILETYPE_ASN1, crypto.load_certificate(crypto.FILETYPE_PEM, block)
            )
            for block in blocks
        )
    except OSError as error:
        raise Unreadable(f"{file} cannot be read: {error.strerror}") from None
    except (crypto.Error, ValueError):
        raise Unreadable(f"{file} has a certificate that cannot be read") from None
    if not certificates:
        raise Unreadable(f"{file} has no certificate in it; give one in PEM form")
    return certificates

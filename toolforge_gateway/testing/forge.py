"""Certificates that no library wants to make.

An issued certificate is taken apart into its DER elements, one of them is
replaced, and the authority signs the result again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from toolforge_gateway.testing.pki import Authority, Issued

UTF8, PRINTABLE, T61, BMP = 0x0C, 0x13, 0x14, 0x1E
_COMMON_NAME, _ORGANIZATION = bytes.fromhex("550403"), bytes.fromhex("55040a")
_TYPES = {"CN": _COMMON_NAME, "O": _ORGANIZATION}

_ECDSA = {
    "sha1": (hashes.SHA1(), bytes.fromhex("300906072a8648ce3d0401")),
    "sha256": (hashes.SHA256(), bytes.fromhex("300a06082a8648ce3d040302")),
}
"""Hash and the DER form of its AlgorithmIdentifier."""

_SUBJECT, _EXTENSIONS = 5, 7
"""Places within a version 3 TBSCertificate (RFC 5280 section 4.1)."""


def der(tag: int, content: bytes) -> bytes:
    """One DER element."""
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def name(*attributes: tuple[str, int, bytes]) -> bytes:
    """A `Name` of (`CN` or `O`, string tag, content) attributes."""
    return der(
        0x30,
        b"".join(
            der(0x31, der(0x30, der(0x06, _TYPES[kind]) + der(tag, content)))
            for kind, tag, content in attributes
        ),
    )


def with_subject(authority: Authority, issued: Issued, subject: bytes) -> Issued:
    """The same certificate for another subject, given in DER."""
    parts = _parts(issued)
    parts[_SUBJECT] = subject
    return _sign(authority, issued, parts)


def with_doubled_extension(authority: Authority, issued: Issued) -> Issued:
    """The same certificate with its last extension in it twice."""
    parts = _parts(issued)
    (sequence,) = _split(_content(parts[_EXTENSIONS]))
    extensions = _split(_content(sequence))
    twice = der(0x30, b"".join([*extensions, extensions[-1]]))
    parts[_EXTENSIONS] = der(0xA3, twice)
    return _sign(authority, issued, parts)


def with_hash(authority: Authority, issued: Issued, algorithm: str) -> Issued:
    """The same certificate signed over another hash: `sha1` or `sha256`."""
    return _sign(authority, issued, _parts(issued), algorithm)


def _sign(
    authority: Authority, issued: Issued, parts: Sequence[bytes], algorithm: str = "sha256"
) -> Issued:
    hash_, identifier = _ECDSA[algorithm]
    key = authority.issued.key
    assert isinstance(key, ec.EllipticCurvePrivateKey), "only ECDSA authorities forge"
    tbs = der(0x30, b"".join([*parts[:2], identifier, *parts[3:]]))
    signature = der(0x03, b"\0" + key.sign(tbs, ec.ECDSA(hash_)))
    certificate = x509.load_der_x509_certificate(der(0x30, tbs + identifier + signature))
    return attrs.evolve(issued, certificate=certificate)


def _parts(issued: Issued) -> list[bytes]:
    """The elements of the TBSCertificate."""
    tbs = _split(_content(issued.certificate.public_bytes(Encoding.DER)))[0]
    return _split(_content(tbs))


def _content(element: bytes) -> bytes:
    return element[_header(element) :]


def _split(content: bytes) -> list[bytes]:
    return list(_elements(content))


def _elements(content: bytes) -> Iterable[bytes]:
    while content:
        start = _header(content)
        length = content[1] if start == 2 else int.from_bytes(content[2:start], "big")
        yield content[: start + length]
        content = content[start + length :]


def _header(element: bytes) -> int:
    """Bytes of tag and length."""
    return 2 + (element[1] & 0x7F if element[1] & 0x80 else 0)

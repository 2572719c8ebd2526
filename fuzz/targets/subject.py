"""Subject names: only ValueError, only DER, and read as `cryptography` reads them."""

from __future__ import annotations

import functools
import warnings

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fuzz.phrase import Draw
from toolforge_gateway.dn import parse_der

OIDS = {
    "CN": b"\x55\x04\x03",
    "C": b"\x55\x04\x06",
    "O": b"\x55\x04\x0a",
    "OU": b"\x55\x04\x0b",
    "UID": b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01",
    "DC": b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19",
    "1.2.840.113549.1.9.1": b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01",
    "2.999.3": b"\x88\x37\x03",
}
DOTTED = {
    "CN": "2.5.4.3",
    "C": "2.5.4.6",
    "L": "2.5.4.7",
    "ST": "2.5.4.8",
    "STREET": "2.5.4.9",
    "O": "2.5.4.10",
    "OU": "2.5.4.11",
    "UID": "0.9.2342.19200300.100.1.1",
    "DC": "0.9.2342.19200300.100.1.25",
}
STRINGS = (0x0C, 0x13, 0x16, 0x1E, 0x14, 0x1C, 0x04)
"""UTF8, Printable, IA5, BMP, T61, Universal, and an OCTET STRING."""
WORDS = [
    element
    for text in (b"tf-test", b"toolforge", b"a\0b", b"a\nb", b"\xc3\xa4", b"")
    for element in (
        b"\x31" + bytes([len(text) + 11]) + b"\x30" + bytes([len(text) + 9])
        + b"\x06\x03\x55\x04\x03\x0c" + bytes([len(text)]) + text + b"\x00\x00",
        b"\x0c" + bytes([len(text)]) + text,
        b"\x13" + bytes([len(text)]) + text,
    )
] + [b"\x30\x82", b"\x31\x0b", b"\x30\x09", b"\x06\x03\x55\x04\x03", b"\x80", b"\x84"]  # fmt: skip


def check(data: bytes) -> None:
    """Bytes as they come, and a name built from them."""
    draw = Draw.of(data, WORDS)
    if draw.flag(1):
        _check_built(draw.message)
    else:
        _check(draw.message)


def _check(der: bytes) -> None:
    try:
        name = parse_der(der)
    except ValueError as error:
        # Its subclasses, such as UnicodeDecodeError, are no sentences for a person.
        assert type(error) is ValueError and str(error).isprintable() and str(error)
        return
    again, end = _encoded_anew(der)
    assert again == der and end == len(der), "two encodings of one name passed"
    for kind, value in name.attributes:
        assert kind and value and value.isprintable(), (kind, value)
        assert value.encode() in der
    others = _as_others_read_it(der)
    ours = [(DOTTED.get(kind, kind), value) for kind, value in name.attributes]
    # Sorted: older versions mix up the inside of a multi-valued RDN.
    assert others is None or sorted(others) == sorted(ours), others


def _check_built(message: bytes) -> None:
    """Each line of the message is an attribute: two bytes say of which type and string."""
    rdns, expected = b"", []
    good = True
    for line in message.split(b"\n")[:20]:
        kind = list(OIDS)[line[0] % len(OIDS)] if line else "CN"
        tag = STRINGS[line[1] % len(STRINGS)] if len(line) > 1 else 0x0C
        value = line[2:200]
        pair = _tlv(0x06, OIDS[kind]) + _tlv(tag, value)
        rdns += _tlv(0x31, _tlv(0x30, pair))
        good = good and tag == 0x0C and bool(value) and value.isascii()
        good = good and value.decode("latin-1").isprintable()
        expected.append((kind, value.decode("latin-1")))
    der = _tlv(0x30, rdns)
    _check(der)
    if good:
        assert list(parse_der(der).attributes) == expected


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(digits))) + digits + content


def _encoded_anew(der: bytes) -> tuple[bytes, int]:
    """The first element with all lengths written by `_tlv`, and where it ends."""
    tag, size, at = der[0], der[1], 2
    if size & 0x80:
        at += size & 0x7F
        size = int.from_bytes(der[2:at], "big")
    end = at + size
    if tag not in (0x30, 0x31):
        return _tlv(tag, der[at:end]), end
    parts = b""
    while at < end:
        part, size = _encoded_anew(der[at:])
        parts, at = parts + part, at + size
    return _tlv(tag, parts), end


def _as_others_read_it(der: bytes) -> list[tuple[str, str]] | None:
    """Dotted type and value of each attribute; None when it is refused there."""
    algorithm = _tlv(0x30, _tlv(0x06, b"\x2a\x86\x48\xce\x3d\x04\x03\x02"))
    information = _tlv(0x30, _tlv(0x02, b"\0") + der + _public_key() + b"\xa0\0")
    request = _tlv(0x30, information + algorithm + _tlv(0x03, b"\0\x30\x06\2\1\1\2\1\1"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            subject = x509.load_der_x509_csr(request).subject
        except ValueError:
            return None
    return [(each.oid.dotted_string, str(each.value)) for each in subject]


@functools.cache
def _public_key() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

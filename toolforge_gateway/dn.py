"""Subject names, read from their DER form (X.690, RFC 5280 section 4.1.2.4).

A walk of our own, because libraries hide which string type a value had, repair
what is odd, or show a NUL as the end of the text.  Of a certificate that two
readers could read as two people we want neither reading: it is refused.
Layer 1: pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from toolforge_gateway.model import DistinguishedName

_OBJECT_IDENTIFIER = 0x06
_UTF8_STRING = 0x0C
_PRINTABLE_STRING = 0x13
_IA5_STRING = 0x16
_SEQUENCE = 0x30
_SET = 0x31

_LONGEST_OID = 64
"""Bytes.  Real attribute types take 3 to 12; the bound keeps arcs small."""

_SHORT_NAMES = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
}
"""RFC 4514 section 3."""

_IA5_TYPES = frozenset({"DC", "1.2.840.113549.1.9.1"})
"""The two attribute types that are IA5String by definition: domainComponent
(RFC 4519 section 2.4) and emailAddress (RFC 5280 section 4.1.2.6)."""

_PRINTABLE = re.compile(rb"[A-Za-z0-9 '()+,\-./:=?]*")
"""The alphabet of PrintableString (X.680 section 41.4)."""


def parse_der(der: bytes) -> DistinguishedName:
    """Read a `Name`, such as the subject of a certificate.

    Values are UTF8String or PrintableString (IA5String for the two types that
    want it), neither empty nor with anything in them that does not print.  The
    order inside of a multi-valued RDN is not judged: it means nothing.

    :param der: the whole encoding, with nothing after it.
    :return: the attributes in the certificate's order; none of them for an
        empty subject.
    :raise ValueError: with a sentence for the certificate's owner.
    """
    tag, content, end = _element(der, 0)
    if tag != _SEQUENCE or end != len(der):
        raise ValueError("the subject name is not one DER sequence")
    attributes: list[tuple[str, str]] = []
    for rdn in _elements(content, _SET):
        pairs = tuple(_elements(rdn, _SEQUENCE))
        if not pairs:
            raise ValueError("the subject name has an empty part")
        attributes.extend(_attribute(pair) for pair in pairs)
    return DistinguishedName(tuple(attributes))


def _attribute(content: bytes) -> tuple[str, str]:
    """Read the inside of one `AttributeTypeAndValue`."""
    tag, oid, value_at = _element(content, 0)
    if tag != _OBJECT_IDENTIFIER:
        raise ValueError("an attribute of the subject name does not begin with its type")
    dotted = _dotted(oid)
    kind = _SHORT_NAMES.get(dotted, dotted)
    tag, value, end = _element(content, value_at)
    if end != len(content):
        raise ValueError(f"something follows the value of {kind} in the subject name")
    return kind, _text(kind, tag, value)


def _text(kind: str, tag: int, value: bytes) -> str:
    """Decode one string by its type, strictly."""
    if tag == _UTF8_STRING:
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{kind} in the subject name is not valid UTF-8") from None
    elif (tag == _PRINTABLE_STRING and _PRINTABLE.fullmatch(value)) or (
        tag == _IA5_STRING and kind in _IA5_TYPES and value.isascii()
    ):
        text = value.decode("ascii")
    else:
        raise ValueError(
            f"{kind} in the subject name is not a proper UTF8String or PrintableString"
        )
    if not text or not text.isprintable():
        raise ValueError(f"{kind} in the subject name is empty or has unprintable characters")
    return text


def _dotted(oid: bytes) -> str:
    """Write an object identifier with dots (X.690 section 8.19)."""
    if not 0 < len(oid) <= _LONGEST_OID or oid[-1] & 0x80:
        raise ValueError("an attribute type of the subject name is not an object identifier")
    arcs: list[int] = []
    arc = 0
    starts = True
    for byte in oid:
        if starts and byte == 0x80:
            raise ValueError("an attribute type of the subject name is padded")
        arc = arc << 7 | byte & 0x7F
        starts = byte < 0x80
        if starts:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def _elements(content: bytes, expected: int) -> Iterator[bytes]:
    """Contents of the elements laid end to end, all of one tag."""
    at = 0
    while at < len(content):
        tag, inside, at = _element(content, at)
        if tag != expected:
            raise ValueError("the subject name has a part of the wrong kind")
        yield inside


def _element(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Read one element: tag, content and the offset behind it.

    Lengths are definite and in their shortest form (X.690 section 10.1).
    """
    if at + 2 > len(data):
        raise ValueError("the subject name is cut short")
    tag, length = data[at], data[at + 1]
    at += 2
    if length >= 0x80:
        octets = length & 0x7F
        digits = data[at : at + octets]
        if not 0 < octets <= 4 or len(digits) < octets or digits[0] == 0:
            raise ValueError("the subject name has a length that is not DER")
        at += octets
        length = int.from_bytes(digits, "big")
        if length < 0x80:
            raise ValueError("the subject name has a length that is not DER")
    end = at + length
    if end > len(data):
        raise ValueError("the subject name is cut short")
    return tag, data[at:end], end


_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+")
_TEXT_SPECIAL = frozenset(',+"\\<>;=')
_HEX_PAIRS = re.compile(r"\\([0-9A-Fa-f]{2})")
_LONG_NAMES = {"EMAILADDRESS": "1.2.840.113549.1.9.1", "SERIALNUMBER": "2.5.4.5"}


def parse_text(text: str) -> DistinguishedName:
    """Read a name in the form of RFC 4514 (or RFC 2253), as proxies show it.

    Quoted values, `#` and the slashes of OpenSSL's old form are refused: the
    first two nobody writes today, and in the third a value can look like two.

    :return: the attributes in the certificate's order, the reverse of the text's.
    :raise ValueError: with a sentence for the proxy's operator.
    """
    attributes: list[tuple[str, str]] = []
    at = 0
    while True:
        match = _TYPE.match(text, at)
        if match is None or text[match.end() : match.end() + 1] != "=":
            raise ValueError("it is no list of TYPE=value")
        value, at = _text_value(text, match.end() + 1)
        kind = match[0].upper()
        attributes.append((_SHORT_NAMES.get(kind, _LONG_NAMES.get(kind, kind)), value))
        if at == len(text):
            return DistinguishedName(tuple(reversed(attributes)))
        at += 1
        if text[at : at + 1] == " ":  # some write ", "
            at += 1


def _text_value(text: str, at: int) -> tuple[str, int]:
    """The value that begins there, and where its separator or the end is."""
    start, octets = at, bytearray()
    while at < len(text) and text[at] not in ",+":
        character = text[at]
        if character == "\\":
            pair = _HEX_PAIRS.match(text, at)
            if pair is not None:
                octets.append(int(pair[1], 16))
                at = pair.end()
                continue
            at += 1
            character = text[at : at + 1]
            if not character or not (character in _TEXT_SPECIAL or character in " #"):
                raise ValueError("it has a backslash before what needs none")
        elif character in _TEXT_SPECIAL or (character in " #" and at == start):
            raise ValueError(f"it has {character!r} where a backslash is needed")
        octets += character.encode("utf-8")
        at += 1
    if at > start and text[at - 1] == " " and text[at - 2 : at - 1] != "\\":
        raise ValueError("it has a space at the end of a value")
    try:
        value = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it has escapes that are not UTF-8") from None
    if not value or not value.isprintable():
        raise ValueError("it has a value that is empty or unprintable")
    return value, at

"""Subject names in DER."""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.dn import parse_der

CN = bytes.fromhex("0603550403")
O = bytes.fromhex("060355040a")  # noqa: E741 - the attribute's own name
EMAIL = bytes.fromhex("06092a864886f70d010901")


def tlv(tag: int, content: bytes) -> bytes:
    """One DER element."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(digits)]) + digits + content


def pair(oid: bytes, value: bytes, tag: int = 0x0C) -> bytes:
    """An AttributeTypeAndValue; UTF8String unless told."""
    return tlv(0x30, oid + tlv(tag, value))


def name(*rdns: bytes) -> bytes:
    """A Name of RDNs, each the pairs of one SET."""
    return tlv(0x30, b"".join(tlv(0x31, rdn) for rdn in rdns))


class Reads(SynchronousTestCase):
    def test_ordinary(self) -> None:
        """A tool's subject comes out in order, by its short names."""
        dn = parse_der(name(pair(O, b"toolforge"), pair(CN, b"mytool", 0x13)))
        self.assertEqual(dn.attributes, (("O", "toolforge"), ("CN", "mytool")))
        self.assertEqual(dn.values("CN"), ("mytool",))

    def test_multi_valued(self) -> None:
        """The attributes of a multi-valued RDN are laid out one after another."""
        dn = parse_der(name(pair(CN, b"mytool") + pair(O, b"toolforge")))
        self.assertEqual(dn.attributes, (("CN", "mytool"), ("O", "toolforge")))

    def test_email_address(self) -> None:
        """An IA5String is right for an e-mail address; its type has no short name."""
        dn = parse_der(name(pair(EMAIL, b"a@example.org", 0x16)))
        self.assertEqual(dn.attributes, (("1.2.840.113549.1.9.1", "a@example.org"),))

    def test_empty_subject(self) -> None:
        """An empty subject is a name that says nothing."""
        self.assertEqual(parse_der(b"\x30\x00").attributes, ())

    def test_long_value(self) -> None:
        """Lengths of two and three octets are read."""
        for size in (127, 128, 255, 256, 70000):
            dn = parse_der(name(pair(CN, b"x" * size)))
            self.assertEqual(dn.values("CN"), ("x" * size,))

    def test_agrees_with_cryptography(self) -> None:
        """What cryptography writes is read back, short names and the rest."""
        written = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Wikimédia"),
                x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "org"),
                x509.NameAttribute(NameOID.USER_ID, "u1"),
                x509.NameAttribute(NameOID.SERIAL_NUMBER, "7"),
            ]
        )
        expected = (("C", "DE"), ("O", "Wikimédia"), ("DC", "org"), ("UID", "u1"), ("2.5.4.5", "7"))
        self.assertEqual(parse_der(written.public_bytes()).attributes, expected)

    @given(st.lists(st.text(min_size=1, max_size=60).filter(str.isprintable), max_size=5))
    def test_any_printable_text(self, values: list[str]) -> None:
        """Every printable text comes back as it went in."""
        der = name(*(pair(CN, value.encode()) for value in values))
        self.assertEqual(parse_der(der).values("CN"), tuple(values))


class Refuses(SynchronousTestCase):
    def refused(self, der: bytes, because: str) -> None:
        """`parse_der` raises ValueError with `because` in its sentence."""
        error = self.assertRaises(ValueError, parse_der, der)
        self.assertIn(because, str(error))

    def test_string_types(self) -> None:
        """BMP, Teletex, Universal and misplaced IA5 strings are refused by type."""
        for tag, value in [
            (0x1E, "mytool".encode("utf-16-be")),
            (0x14, b"mytool"),
            (0x1C, "mytool".encode("utf-32-be")),
            (0x16, b"mytool"),
            (0x03, b"\x00mytool"),
        ]:
            self.refused(name(pair(CN, value, tag)), "not a proper")

    def test_alphabets(self) -> None:
        """A string with characters its type does not have is refused."""
        self.refused(name(pair(CN, b"my_tool", 0x13)), "not a proper")
        self.refused(name(pair(EMAIL, b"\xe9@example.org", 0x16)), "not a proper")
        self.refused(name(pair(CN, b"\xc0\xaf")), "not valid UTF-8")
        self.refused(name(pair(CN, b"\xed\xa0\x80")), "not valid UTF-8")

    def test_unprintable(self) -> None:
        """NUL, line ends, other controls and invisible characters are refused."""
        for text in ("a\0b", "a\n", "a\r\nb", "\x1b[2J", "a\x7f", "a\x85", "a\u2028b", "a\u200bb"):
            self.refused(name(pair(CN, text.encode())), "unprintable")

    def test_empty_value(self) -> None:
        """A value of no characters is refused."""
        self.refused(name(pair(CN, b"")), "empty")

    def test_empty_rdn(self) -> None:
        """An RDN of no attributes is refused."""
        self.refused(name(b""), "empty part")

    def test_structure(self) -> None:
        """Anything but a sequence of sets of sequences of type and value is refused."""
        good = pair(CN, b"mytool")
        for der in (
            b"",
            tlv(0x31, tlv(0x31, good)),
            tlv(0x30, tlv(0x30, good)),
            tlv(0x30, tlv(0x31, tlv(0x31, CN + tlv(0x0C, b"mytool")))),
            tlv(0x30, tlv(0x31, tlv(0x30, tlv(0x0C, b"mytool") + CN))),
            tlv(0x30, tlv(0x31, tlv(0x30, CN))),
            tlv(0x30, tlv(0x31, tlv(0x30, CN + tlv(0x0C, b"a") + tlv(0x0C, b"b")))),
            name(good) + b"\x00",
        ):
            self.assertRaises(ValueError, parse_der, der)

    def test_lengths(self) -> None:
        """Indefinite, padded and overlong lengths are refused."""
        inside = name(pair(CN, b"mytool"))[2:]
        self.refused(b"\x30\x80" + inside + b"\x00\x00", "not DER")
        self.refused(bytes([0x30, 0x81, len(inside)]) + inside, "not DER")
        self.refused(bytes([0x30, 0x82, 0, len(inside)]) + inside, "not DER")
        self.refused(b"\x30\x85\x01\x00\x00\x00\x00" + inside, "not DER")
        self.refused(b"\x30\x82\x01", "not DER")

    def test_cut(self) -> None:
        """No proper beginning of a name is a name."""
        whole = name(pair(O, b"toolforge"), pair(CN, b"mytool"))
        for size in range(len(whole)):
            self.assertRaises(ValueError, parse_der, whole[:size])

    def test_object_identifiers(self) -> None:
        """Empty, unfinished, padded and endless attribute types are refused."""
        for oid in (b"", b"\x55\x04\x83", b"\x55\x80\x04\x03", b"\x80\x55", b"\x55" * 65):
            self.assertRaises(ValueError, parse_der, name(pair(tlv(0x06, oid), b"mytool")))

    def test_look_alike_type(self) -> None:
        """A type that is nearly that of CN is not CN."""
        dn = parse_der(name(pair(tlv(0x06, bytes.fromhex("5504030a")), b"mytool")))
        self.assertEqual(dn.attributes, (("2.5.4.3.10", "mytool"),))

    @given(st.binary(max_size=80))
    def test_never_anything_else(self, der: bytes) -> None:
        """Whatever comes in, the answer is a name or ValueError."""
        try:
            parse_der(der)
        except ValueError as error:
            self.assertIsNotNone(error.args)

"""Certificates and subjects as proxies write them."""

from __future__ import annotations

import base64
from urllib.parse import quote

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.dn import parse_text
from toolforge_gateway.errors import Refusal
from toolforge_gateway.forwardauth.dialects import DIALECTS, read_original
from toolforge_gateway.forwardauth.shown import LONGEST_CHAIN, read_shown
from toolforge_gateway.forwardauth.xfcc import read_element
from toolforge_gateway.http.head import HeadLimits, parse_request_head

ONE, TWO = bytes(range(256)), bytes(range(255, -1, -1))
"""Stand for DER: nothing here looks inside."""


def coded(der: bytes) -> str:
    return base64.b64encode(der).decode("ascii")


def pem(*ders: bytes) -> str:
    begin, end = "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n"
    return "".join(begin + base64.encodebytes(der).decode() + end for der in ders)


class ShownTests(SynchronousTestCase):
    def test_certificates(self) -> None:
        """Every form that a proxy is known to write."""
        escaped = quote(pem(ONE), safe="")
        for dialect, text, expected in (
            ("nginx", escaped, (ONE,)),
            ("nginx", quote(pem(ONE, TWO), safe=""), (ONE, TWO)),
            ("nginx", pem(ONE).replace("\n", " ").strip(), (ONE,)),
            ("caddy", coded(ONE), (ONE,)),
            ("haproxy", coded(ONE), (ONE,)),
            ("traefik", f"{coded(ONE)},{coded(TWO)}", (ONE, TWO)),
            ("traefik", quote(coded(ONE), safe="") + "," + quote(coded(TWO), safe=""), (ONE, TWO)),
            ("traefik", quote(f"{coded(ONE)},{coded(TWO)}", safe=""), (ONE, TWO)),
            ("envoy", f'Hash=0;Cert="{escaped}";Subject="CN=x";URI=;DNS=a;DNS=b', (ONE,)),
            ("envoy", f'Chain="{quote(pem(ONE, TWO), safe="")}";Cert="{escaped}"', (ONE, TWO)),
            ("envoy", f'cert="{escaped}"', (ONE,)),
        ):
            self.assertEqual(read_shown(text.encode(), dialect).certificates, expected, text)

    def test_subjects(self) -> None:
        """A subject alone, from Envoy as well."""
        for dialect, text in (
            ("nginx", "CN=tf-test,O=toolforge"),
            ("envoy", 'Hash=1;Subject="CN=tf-test,O=toolforge"'),
        ):
            shown = read_shown(text.encode(), dialect)
            self.assertEqual(shown.certificates, ())
            self.assertEqual(shown.subject.attributes, (("O", "toolforge"), ("CN", "tf-test")))

    def test_damaged(self) -> None:
        """Whatever is neither is refused, and never taken for no certificate."""
        escaped = quote(pem(ONE), safe="")
        for dialect, text in (
            ("nginx", "-"),
            ("nginx", "(null)"),
            ("nginx", "none"),
            ("nginx", "MIIB"),
            ("nginx", escaped[:-30]),
            ("nginx", escaped + "%0Ax"),
            ("nginx", "x" + escaped),
            ("nginx", escaped.replace("%0A", "%0", 1)),
            ("nginx", escaped + "," + escaped),
            ("nginx", quote(pem(*[ONE] * (LONGEST_CHAIN + 1)), safe="")),
            ("nginx", quote(escaped, safe="")),
            ("caddy", coded(ONE) + "="),
            ("caddy", coded(ONE)[:-1] + "-"),
            ("caddy", coded(ONE) + ","),
            ("caddy", coded(ONE) + ", " + coded(TWO)),
            ("envoy", coded(ONE)),
            ("envoy", "CN=x,O=y"),
            ("envoy", "Hash=1"),
            ("envoy", "Subject="),
            ("envoy", f'Cert="{escaped}";Chain="{quote(pem(TWO, ONE), safe="")}"'),
            ("envoy", f'Cert="{quote(pem(ONE, TWO), safe="")}"'),
            ("envoy", f'Cert="{escaped}";Cert="{escaped}"'),
            ("envoy", f'Cert="{escaped}";cert="{escaped}"'),
            ("envoy", f'Cert="{escaped}",Cert="{escaped}"'),
            ("envoy", f'By=spiffe://a;Hash=1,Cert="{escaped}"'),
            ("envoy", f'Cert="{escaped}";'),
            ("envoy", f'Cert="{escaped}'),
            ("envoy", f'Cert="{escaped}" ;Hash=1'),
            ("envoy", 'Cert="%zz";Subject="CN=tf-test,O=toolforge"'),
            ("envoy", 'Cert="abc";Subject="CN=tf-test,O=toolforge"'),
            ("envoy", 'Subject="CN=a,O=b";Subject="CN=c,O=d"'),
            ("envoy", 'Subject="CN=\xff"'),
            ("nginx", "CN=\xff"),
        ):
            refusal = self.assertRaises(Refusal, read_shown, text.encode("latin-1"), dialect)
            self.assertEqual(
                (refusal.status, refusal.reason), (403, "bad-certificate-header"), text
            )

    @given(st.binary(min_size=1), st.sampled_from(sorted(DIALECTS)))
    @example(b"%", "nginx")
    @example(b"-----BEGIN CERTIFICATE-----" * 1000, "nginx")
    @example(b'a="' + b"\\" * 5000, "envoy")
    def test_never_breaks(self, value: bytes, dialect: str) -> None:
        """Any bytes are read or refused."""
        try:
            read_shown(value, dialect)
        except Refusal as refusal:
            self.assertEqual(refusal.status, 403)

    @given(st.dictionaries(st.sampled_from(["Hash", "Cert", "Subject", "Chain"]), st.text()))
    def test_quoted(self, values: dict[str, str]) -> None:
        """What is quoted as Envoy quotes it is read as it was."""
        text = ";".join(
            '{}="{}"'.format(key, value.replace("\\", "\\\\").replace('"', '\\"'))
            for key, value in values.items()
        )
        lower = {key.lower(): value for key, value in values.items()}
        if not any("\n" in value for value in values.values()):
            self.assertEqual(read_element(text), lower)


class SubjectTextTests(SynchronousTestCase):
    def test_read(self) -> None:
        """Escapes, types and the order of the certificate."""
        for text, expected in (
            ("CN=a,O=b", (("O", "b"), ("CN", "a"))),
            ("CN=a, O=b", (("O", "b"), ("CN", "a"))),
            ("cn=a+ou=c,o=b", (("O", "b"), ("OU", "c"), ("CN", "a"))),
            ("2.5.4.3=a,2.5.4.10=b", (("O", "b"), ("CN", "a"))),
            (r"CN=a\,O\=admins,O=b", (("O", "b"), ("CN", "a,O=admins"))),
            (r"CN=\C3\A4,O=b", (("O", "b"), ("CN", "ä"))),
            ("CN=ä,O=b", (("O", "b"), ("CN", "ä"))),
            (r"CN=\ a\ ,O=b", (("O", "b"), ("CN", " a "))),
            (r"CN=\#a", (("CN", "#a"),)),
            ("emailAddress=x@y,CN=a", (("CN", "a"), ("1.2.840.113549.1.9.1", "x@y"))),
            ("CN=a,CN=b", (("CN", "b"), ("CN", "a"))),
            ("CN=service:x,O=b", (("O", "b"), ("CN", "service:x"))),
        ):
            self.assertEqual(parse_text(text).attributes, expected, text)

    def test_refused(self) -> None:
        """What could be read in two ways is not read at all."""
        for text in (
            "", "CN", "CN=", "CN=,O=b", "CN=a,", ",CN=a", "CN=a,,O=b", "=a", "CN =a", "CN= a",
            "CN=a ,O=b", "CN=a;O=b", 'CN="a",O=b', "CN=#0c0161", "CN=a<b", "CN=a=b", "CN=a\\",
            r"CN=\x", r"CN=\00", r"CN=\FF", "CN=a\x00", "CN=a\tb", "/O=b/CN=a", "O=b/CN=a=",
            "CN=a,  O=b", "CN=a\nO=b", "C N=a", "1=a", "2.=a",
        ):  # fmt: skip
            self.assertRaises(ValueError, parse_text, text)

    @given(st.text(alphabet=st.sampled_from('aé,+"\\<>;= #0F'), min_size=1), st.text(min_size=1))
    def test_round(self, one: str, other: str) -> None:
        """What is escaped as RFC 4514 wants it is read as it was."""
        if not other.isprintable() or not other.isascii():
            return

        def escape(value: str) -> str:
            body = "".join("\\" + c if c in ',+"\\<>;=' else c for c in value)
            if body.startswith(("#", " ")):
                body = "\\" + body
            if body.endswith(" ") and not body.endswith("\\ "):
                body = body[:-1] + "\\ "
            return body

        text = f"CN={escape(one)},O={escape(other)}"
        self.assertEqual(parse_text(text).attributes, (("O", other), ("CN", one)))


class OriginalTests(SynchronousTestCase):
    def test_client(self) -> None:
        """The address that the proxy has seen itself is the last one."""
        for value, expected in (
            ("192.0.2.1", "192.0.2.1"),
            ("10.0.0.1, 192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("x", "None"),
            ("", "None"),
            ("fe80::1%eth0", "None"),
            ("192.0.2.1,", "None"),
        ):
            text = (
                "GET /auth HTTP/1.1\r\nHost: a\r\nX-Forwarded-Method: GET\r\n"
                f"X-Forwarded-Uri: /\r\nX-Forwarded-For: {value}\r\nX-Other: 1\r\n\r\n"
            )
            head = parse_request_head(text.encode(), HeadLimits())
            original = read_original(head, DIALECTS["traefik"], b"x-cert")
            self.assertEqual(str(original.client), expected)
            self.assertEqual(original.fields, ((b"Host", b"a"), (b"X-Other", b"1")))
            self.assertEqual((original.host, original.shown), (None, None))

"""Which targets pass, byte for byte, and which have two readings."""

from __future__ import annotations

import unicodedata
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.errors import BadMessage
from toolforge_gateway.http.target import Target, check_target

from .outcome import PROPERTY, differences, outcome

PASS = [
    b"/",
    b"/jobs",
    b"/jobs/",
    b"/jobs/v1/tool/my-tool.x/jobs/a_b~c",
    b"/.well-known/x",
    b"/x/...",
    b"/x/..a/.b/a..",
    b"/a!$&'()*+,;=:@b",
    b"/a;b=c/d",
    b"/%20a%2Bb%3a%3F%23%5b",
    b"/100%25",
    b"/%25/x",
    b"/caf%C3%A9/%e6%97%a5%F0%9F%98%80",
    b"/stra%C3%9Fe",
    b"/x?",
    b"/x??a=/../b",
    b"/x?follow=True&token=a%2e%2E%2F%00%ff",
    b'/x?a[]={b}|c\\d^`"<>',
    b"/%C3%A9?%41",
]

REFUSED = {
    "not-origin-form": [
        b"",
        b"*",
        b"x",
        b"?x",
        b"%2Fx",
        b"gw:443",
        b"http://gw/x",
        b"HTTPS://gw/x",
        b"\\x",
        b"../x",
    ],
    "bad-target": [
        b"/x\\y",
        b"/x#y",
        b"/x?y#z",
        b"/#",
        b"/x y",
        b"/x\ty",
        b"/x\0",
        b"/x?\x7f",
        b"/x?\n",
        b"/x\n",
        b"/x\r",
        b"/\xc3\xa9",
        b"/x?\xff",
        b'/"',
        b"/<x>",
        b"/[x]",
        b"/{x}",
        b"/x|y",
        b"/x^y",
        b"/x`y",
    ],
    "bad-escape": [
        b"/%",
        b"/%2",
        b"/%zz",
        b"/%2g",
        b"/% 2",
        b"/%u002e%u002e/x",
        b"/x?%",
        b"/x?a=%4",
        b"/x?%%41",
    ],
    "escaped-unreserved": [
        b"/v1/%74ool/victim/jobs",
        b"/%761/tool/victim/jobs",
        b"/%6Aobs",
        b"/%2e%2e/x",
        b"/%2E/x",
        b"/.%2e/x",
        b"/x/%2e",
        b"/%2D",
        b"/%5f",
        b"/%7E",
        b"/%30",
        b"/%39",
        b"/%41",
        b"/%5A",
        b"/%61",
        b"/%7a",
        b"/%25%32%65",
    ],
    "encoded-separator": [b"/x%2Fy", b"/x%2f..%2fy", b"/x%5Cy", b"/x%5c", b"/%2F"],
    "encoded-twice": [
        b"/%252e%252e/x",
        b"/x%252Fy",
        b"/x%255cy",
        b"/x%2500",
        b"/x%252525",
        b"/%25u002e",
    ],
    "dot-segment": [
        b"/.",
        b"/..",
        b"/./x",
        b"/x/../y",
        b"/x/..",
        b"/x/.",
        b"/x/..?y",
        b"/x/..;/y",
        b"/x/..;a=b/y",
        b"/x/.;/y",
        b"/x/..%3B/y",
        b"/x/..%3Fy",
        b"/x/..%23y",
        b"/x/..%20/y",
        b"/x/%20../y",
    ],
    "empty-segment": [
        b"//",
        b"//gw/x",
        b"/x//y",
        b"/x//",
        b"//?x",
        b"///",
        b"/;/x",
        b"/x/;a=b",
        b"/x/%3b/y",
    ],
    "control-character": [
        b"/%00",
        b"/x%0d%0aX:y",
        b"/x%09",
        b"/x%7F",
        b"/x%1b31m",
        b"/x%C2%85",
        b"/x%E2%80%8B",
        b"/x%E2%80%AE",
        b"/x%E2%80%A8",
        b"/x%EF%BB%BF",
    ],
    "bad-utf8": [
        b"/%ff",
        b"/%C0%AF",
        b"/%c0%ae%c0%ae/x",
        b"/%E0%80%AF",
        b"/%F0%80%80%AF",
        b"/%C1%9C",
        b"/%ED%A0%80",
        b"/%F5%80%80%80",
        b"/%C3",
        b"/%E9",
        b"/%80",
    ],
    "look-alike": [
        b"/x%EF%BC%8Fy",  # FULLWIDTH SOLIDUS
        b"/%EF%BC%8E%EF%BC%8E/x",  # FULLWIDTH FULL STOP
        b"/%E2%80%A4%E2%80%A4/x",  # ONE DOT LEADER
        b"/%E2%80%A5/x",  # TWO DOT LEADER
        b"/%EF%B9%92",  # SMALL FULL STOP
        b"/x%EF%BC%BCy",  # FULLWIDTH REVERSE SOLIDUS
        b"/x%EF%BC%852e",  # FULLWIDTH PERCENT SIGN
        b"/x%CD%BE",  # GREEK QUESTION MARK
        b"/%EF%BD%94ool",  # FULLWIDTH SMALL T
        b"/%E2%84%AA",  # KELVIN SIGN
        b"/%E2%84%80",  # ACCOUNT OF
        b"/%EF%AC%81",  # LATIN SMALL LIGATURE FI
        b"/x%C2%A0",  # NO-BREAK SPACE
        b"/x%C5%BF",  # LATIN SMALL LETTER LONG S
    ],
}

segment = st.text("abc.%;/\\ ?#2eEfF35cCuU0\u00e9\uff0f\u2025\x00\x7f&=~", max_size=14)


class TargetTests(SynchronousTestCase):
    """RFC 9112 section 3.2.1, and one reading only."""

    def test_pass(self) -> None:
        """What passes comes out as it came in, in two parts."""
        for target in PASS:
            path, mark, query = target.decode("ascii").partition("?")
            self.assertEqual(check_target(target), Target(path, query if mark else None))

    def test_refused(self) -> None:
        """What two receivers could route differently is refused with 400."""
        table = [(data, (400, word)) for word, rows in REFUSED.items() for data in rows]
        self.assertEqual(differences(table, check_target), {})

    def test_escapes_of_unreserved(self) -> None:
        """Every escape of an unreserved character is refused in a path, and no other escape
        of visible ASCII for that reason; in a query all of them pass."""
        for code in range(0x21, 0x7F):
            for escape in (b"%%%02X" % code, b"%%%02x" % code):
                is_unreserved = chr(code).isalnum() or chr(code) in "-._~"
                found = outcome(check_target, b"/x" + escape) == (400, "escaped-unreserved")
                self.assertEqual(found, is_unreserved, escape)
                self.assertEqual(check_target(b"/x?" + escape).query, escape.decode("ascii"))

    @PROPERTY
    @given(st.one_of(st.binary(max_size=40), segment.map(lambda s: b"/" + s.encode())))
    def test_nothing_but_bad_message(self, target: bytes) -> None:
        """No bytes raise anything but BadMessage, and what passes is what came in."""
        try:
            result = check_target(target)
        except BadMessage as refusal:
            self.assertEqual(refusal.status, 400)
            return
        query = "" if result.query is None else "?" + result.query
        self.assertEqual((result.path + query).encode("ascii"), target)

    @PROPERTY
    @given(st.lists(segment, max_size=3))
    def test_the_path_stays_the_callers(self, parts: list[str]) -> None:
        """Under decoding, decoding twice, NFKC, parameter and dot removal and slash
        merging, a path that passes stays below its first segment."""
        text = "/mine/" + "/".join(parts)
        target = "".join(chr(b) if 0x21 <= b <= 0x7E else f"%{b:02X}" for b in text.encode())
        try:
            path = check_target(target.encode("ascii")).path
        except BadMessage:
            return
        for seen in (unquote(path), unquote(unquote(path))):
            parts = unicodedata.normalize("NFKC", seen).replace("\\", "/").split("/")[1:]
            for part in parts:
                proper = part.partition(";")[0].strip()
                self.assertNotIn(proper, (".", ".."))
            self.assertEqual(len(parts), path.count("/"))

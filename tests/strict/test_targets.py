"""Targets: forwarded as received, or refused."""

from __future__ import annotations

from tests.strict.table import SMUGGLED, Case, TableCase, arriving, named, refusing, request

OWN = b"/jobs/v1/tool/tf-test"
VICTIM = b"/jobs/v1/tool/victim"

NOT_ORIGIN_FORM = [
    b"*", b"jobs", b"jobs/v1/tool/tf-test", b"http://localhost/jobs/v1/tool/tf-test",
    b"https://localhost/jobs/v1/tool/tf-test", b"HTTPS://localhost/jobs/v1/tool/tf-test",
    b"http://victim/", b"http:/jobs/v1/tool/tf-test", b"localhost:8443", b"localhost", b"[::1]:443",
    b"//localhost/jobs/v1/tool/tf-test", b"ftp://x/", b"file:///etc/passwd", b"javascript:alert(1)",
    b"?x", b"?/jobs/v1/tool/tf-test", b"#", b"!", b"-", b".", b"..", b"./jobs", b"../jobs", b"~",
    b"user@host", b"http://user@localhost/jobs/v1/tool/tf-test", b"s://]ufd/:", b";/jobs",
    b"\\jobs\\v1\\tool\\tf-test", b"%2Fjobs/v1/tool/tf-test", b"%2fjobs", b"/%2Fjobs",
]  # fmt: skip

DOTS = [
    b"/.", b"/..", b"/./", b"/../", b"/./jobs", b"/../jobs", b"/../victim", b"/../victim/jobs",
    b"/./../victim", b"/jobs/../../victim/jobs", b"/jobs/./x", b"/jobs/..", b"/jobs/.",
    b"/%2e", b"/%2E", b"/%2e%2e", b"/%2E%2E", b"/.%2e/victim", b"/%2e./victim", b"/%2e%2e/victim",
    b"/%2e%2e%2fvictim", b"/..%2fvictim", b"/..%2Fvictim", b"/..%5cvictim", b"/..%5Cvictim",
    b"/..\\victim", b"/\\..\\victim", b"\\..\\victim", b"/%252e%252e/victim",
    b"/%252e%252e%252fvictim",
    b"/%25252e%25252e/victim", b"/..%252fvictim", b"/..%255cvictim", b"/%c0%ae%c0%ae/victim",
    b"/%e0%80%ae%e0%80%ae/victim", b"/%f0%80%80%ae%f0%80%80%ae/victim", b"/..%c0%afvictim",
    b"/..%e0%80%afvictim", b"/..%c1%9cvictim", b"/..%c1%afvictim", b"/%u002e%u002e/victim",
    b"/%uff0e%uff0e/victim", b"/%ef%bc%8e%ef%bc%8e/victim", b"/..%ef%bc%8fvictim",
    b"/%e2%80%a4%e2%80%a4/victim", b"/%e2%80%a5/victim", b"/..%e2%88%95victim%2f",
    b"/..;/victim", b"/..;x/victim", b"/..;x=y/victim", b"/.;/jobs", b"/..%3b/victim",
    b"/..%3B/victim",
    b"/..%3bx=y/victim", b"/..%00/victim", b"/..%20/victim", b"/%20../victim", b"/..%09/victim",
    b"/..%0d/victim", b"/..%0a/victim", b"/..%0d%0a/victim", b"/..%3f/victim", b"/..%3F/victim",
    b"/..%23/victim", b"/..%c2%a0/victim", b"/..%e2%80%8b/victim", b"/..%ad/victim",
    b"/..%c2%ad/victim",
    b"/...%2f", b"/.%00./victim", b"/.%0d./victim", b"/.%e2%80%8b./victim",
]  # fmt: skip
"""Behind the tool's own path."""

SLASHES = [
    b"//", b"//jobs", b"/jobs//", b"/jobs//x", b"///", b"/jobs///x", b"/;/jobs", b"/;x=y/jobs",
    b"/jobs/;", b"/jobs/;x", b"/%2f", b"/%2F", b"/jobs%2fx", b"/jobs%2Fx", b"/%5c", b"/%5C",
    b"/jobs%5cx",
    b"/jobs%5Cx", b"/jobs\\x", b"\\", b"/\\", b"/jobs\\", b"/%252f", b"/%252F", b"/%255c",
    b"/%25%32%66",
    b"/%25%35%63", b"/%%32%66", b"/%c0%af", b"/%e0%80%af", b"/%f0%80%80%af", b"/%ef%bc%8f",
    b"/%ef%bc%bc",
    b"/%e2%81%84%2f", b"/%3b/%2e", b"/%3b/x",
]  # fmt: skip

ODD_BYTES = [
    b"/%00", b"/jobs%00", b"/jobs%00.json", b"/%01", b"/%08", b"/%09", b"/%0a", b"/%0A", b"/%0d",
    b"/%0d%0aX-Toolforge-Tool:%20victim", b"/%0d%0a%0d%0aGET%20/", b"/%1b%5B31m", b"/%1f", b"/%7f",
    b"/%7F", b"/%80", b"/%ff", b"/%c2%80", b"/%c2%85", b"/%e2%80%a8", b"/%e2%80%a9", b"/%ef%bb%bf",
    b"/%e2%80%8b", b"/%e2%80%8d", b"/%e2%80%ae", b"/%c2%ad", b"/\xff", b"/\xc3\xa4",
    b"/jobs\xe2\x80\x8b",
    b"/\x80", b"/<x>", b'/"x"', b"/{x}", b"/[x]", b"/x|y", b"/x^y", b"/x`y", b"/#x", b"/jobs#",
    b"#",
    b"/jobs?x#y", b"/jobs#?x", b"/jobs?a=\xff", b"/jobs?a=\xc3\xa4",
]  # fmt: skip

ESCAPES = [
    b"/%", b"/%2", b"/%zz", b"/%2z", b"/%z2", b"/%%", b"/%%20", b"/% 20", b"/%u0041", b"/%U0041",
    b"/%-1", b"/%+1", b"/%0x", b"/%x41", b"/%&#x41;", b"/jobs%", b"/jobs%2", b"/%\xff\xff", b"/%1",
    b"/%41", b"/%61", b"/%5A", b"/%7a", b"/%30", b"/%39", b"/%2d", b"/%2D", b"/%5f", b"/%5F",
    b"/%7e",
    b"/%7E", b"/%6aobs", b"/job%73", b"/%4A", b"/jobs?x=%", b"/jobs?x=%2", b"/jobs?%zz",
    b"/jobs?%u0041",
    b"/jobs?x=%%", b"/%2525", b"/%2541", b"/%25zz%2541", b"/%c3%28", b"/%a0%a1", b"/%e2%28%a1",
    b"/%e2%82", b"/%f0%28%8c%bc", b"/%f8%a1%a1%a1%a1", b"/%fc%a1%a1%a1%a1%a1", b"/%ed%a0%80",
    b"/%ed%bf%bf", b"/%f4%90%80%80", b"/%c0%80", b"/%c1%81", b"/%e0%81%81",
]  # fmt: skip

LOOK_ALIKES = [
    b"/%ef%bd%8aobs", b"/%ef%bc%a1", b"/%ef%bc%90", b"/%ef%bc%85", b"/%ef%bc%9f", b"/%ef%bc%83",
    b"/%ef%bc%9b", b"/%e2%84%aa", b"/%c2%aa", b"/%c2%ba", b"/%c2%b2", b"/%c2%a0", b"/%e3%80%80",
    b"/%ef%ac%81", b"/%e2%80%a6", b"/%e2%91%a0", b"/%e2%84%80", b"/%f0%9d%90%80", b"/%e2%93%90",
    b"/%c4%b0%2e", b"/%ef%b9%92", b"/%ef%b9%a8", b"/%e2%81%ba%2f",
]  # fmt: skip

WHOLE = [
    b"/%6aobs/v1/tool/tf-test/jobs", b"/job%73/v1/tool/tf-test/jobs",
    b"/jobs/%761/tool/tf-test/jobs",
    b"/jobs/v%31/tool/tf-test/jobs", b"/jobs/v1/%74ool/tf-test/jobs",
    b"/jobs/v1/%74ool/victim/jobs",
    b"/jobs/%761/tool/victim/jobs", b"/jobs/v1/too%6c/victim/jobs", b"/jobs/v1/tool/%74f-test/jobs",
    b"/jobs/v1/tool/tf%2dtest/jobs", b"/jobs/v1/tool/tf-test%2fjobs",
    b"/jobs%2fv1/tool/victim/jobs",
    b"/jobs/v1%2ftool/victim/jobs", b"/jobs/v1/tool%2fvictim/jobs",
    b"/jobs/v1/%2e%2e/v1/tool/victim",
    b"//jobs/v1/tool/victim/jobs", b"/jobs//v1/tool/victim/jobs", b"/jobs/v1//tool/victim/jobs",
    b"/jobs/v1/tool//victim/jobs", b"/jobs/./v1/tool/victim/jobs", b"/jobs/v1/./tool/victim/jobs",
    b"/./jobs/v1/tool/victim/jobs", b"/x/../jobs/v1/tool/victim/jobs", b"/;/jobs/v1/tool/victim",
    b"/jobs;/../jobs/v1/tool/victim", b"/jobs/openapi.json/../v1/tool/victim",
    b"/jobs/v1/healthz/..;/tool/victim/jobs", b"/jobs/v1/healthz%2f..%2ftool/victim/jobs",
    b"/jobs/v1/healthz%00/tool/victim", b"/jobs/v1/healthz%3f/../tool/victim",
    b"/jobs\\v1\\tool\\victim",
    b"/\\jobs/v1/tool/victim", b"/jobs/v1\\tool\\victim/jobs", b"/jobs/v1/tool/tf-test\\..\\victim",
    b"/jobs/v1/tool/%ef%bd%94f-test/jobs", b"/jobs/v%ef%bc%91/tool/victim/jobs", b"/.", b"/..",
    b"/%2e",
    b"/healthz/..", b"/healthz/../jobs/v1/tool/victim", b"/healthz%2f", b"//healthz", b"/%68ealthz",
]  # fmt: skip

FOREIGN = [
    (b"/jobs/v1/tool/victim/jobs", 403, "foreign-tool"),
    (b"/jobs/v1/tool/TF-TEST/jobs", 403, None), (b"/jobs/v1/tool/Tf-test/jobs", 403, None),
    (b"/jobs/v1/Tool/tf-test/jobs", 403, "not-tool-scoped"),
    (b"/jobs/V1/tool/tf-test/jobs", 403, "not-tool-scoped"),
    (b"/jobs/v/tool/tf-test/jobs", 403, "not-tool-scoped"),
    (b"/jobs/v1x/tool/tf-test/jobs", 403, "not-tool-scoped"),
    (b"/jobs/tool/tf-test/jobs", 403, "not-tool-scoped"), (b"/jobs", 403, "not-tool-scoped"),
    (b"/jobs/", 403, "not-tool-scoped"), (b"/jobs/v1", 403, "not-tool-scoped"),
    (b"/jobs/v1/tool", 403, "not-tool-scoped"), (b"/jobs/v1/tool/", 403, None),
    (b"/jobs/v1/tool/tf-test2/jobs", 403, "foreign-tool"), (b"/jobs/v1/tool/tf-tes/jobs", 403,
    None),
    (b"/jobs/v1/tool/tf-test./jobs", 403, None), (b"/jobs/v1/tool/tf-test;x/jobs", 403, None),
    (b"/jobs/v1/tool/tf-test;x=y/jobs", 403, None), (b"/jobs/v1/tool/;/jobs", 400, None),
    (b"/jobs/v1/tool/tf-test%20/jobs", 403, None), (b"/jobs/v1/tool/%20tf-test/jobs", 403, None),
    (b"/jobs/v1/tool/tf_test/jobs", 403, None), (b"/jobs/v1/tool/tf-test%3f/jobs", 403, None),
    (b"/jobs/v1/tool/tf-test%23/jobs", 403, None), (b"/jobs/v1/tool/tf-test%25/jobs", 403, None),
    (b"/jobs/v1/tool/tf-test@victim/jobs", 403, None), (b"/jobs/v1/tool/-tf-test/jobs", 403, None),
    (b"/jobs/v1/tool/.tf-test/jobs", 403, None), (b"/jobs/v1/tool/tf-test,victim/jobs", 403, None),
    (b"/jobs/v1/tool/tf-test%2cvictim/jobs", 403, None), (b"/jobs/v1/tool/*/jobs", 403, None),
    (b"/jobs/v1/tool/%d1%82f-test/jobs", 403, None), (b"/jobs/v1/tool/victim?/tf-test", 403,
    "foreign-tool"),
    (b"/jobs;x/v1/tool/tf-test/jobs", 404, "no-such-path"), (b"/jobsx/v1/tool/tf-test", 404, None),
    (b"/JOBS/v1/tool/tf-test/jobs", 404, None), (b"/Jobs/v1/tool/tf-test", 404, None),
    (b"/job/v1/tool/tf-test", 404, None), (b"/jobs%20/v1/tool/tf-test", 404, None),
    (b"/v1/tool/tf-test/jobs", 404, None), (b"/favicon.icon", 404, None),
    (b"/jobs.json", 404, None),
    (b"/jobs:443/v1/tool/tf-test", 404, None), (b"/jobs@x/v1/tool/tf-test", 404, None),
]  # fmt: skip
"""Readable in one way, and not the caller's."""

GOOD = [
    b"", b"/", b"/jobs", b"/jobs/", b"/jobs/a.b", b"/jobs/..a", b"/jobs/a..", b"/jobs/...",
    b"/jobs/.a",
    b"/jobs/a%20b", b"/jobs/%20a", b"/jobs/a;b=c", b"/jobs/a;b", b"/jobs/a,b", b"/jobs/a:b",
    b"/jobs/a@b",
    b"/jobs/!$&'()*+,=:@~-_", b"/jobs/%3Fx", b"/jobs/%3fx", b"/jobs/%23x", b"/jobs/%40",
    b"/jobs/%c3%a4",
    b"/jobs/%C3%A4", b"/jobs/%e4%b8%ad", b"/jobs/%f0%9f%98%80", b"/jobs/%25", b"/jobs/100%25",
    b"/jobs/%3ax",
    b"/jobs/%22%3c%3e", b"/jobs/%5b1%5d", b"/jobs/%7b%7d", b"/jobs/%2b", b"/jobs/%26a=b",
    b"/jobs/a=b",
    b"/jobs?", b"/jobs?follow=True", b"/jobs?follow=true", b"/jobs?a=b&a=c", b"/jobs??",
    b"/jobs?a?b",
    b"/jobs?/../../x", b"/jobs?..", b"/jobs?x=//y", b"/jobs?x=%2e%2e%2f", b"/jobs?x=%00",
    b"/jobs?%0d%0a=%ff",
    b"/jobs?x=a+b%20c", b"/jobs?[]{}|^`<>\"\\", b"/jobs?;", b"/jobs?&&==", b"/jobs?x=http://a/b",
    b"/?",
    b"?", b"?x", b"/jobs?%74oken", b"/jobs?%2525", b"/jobs/" + b"a" * 4000, b"/jobs?" + b"q" * 4000,
]  # fmt: skip
"""Behind the tool's own path; all of it passes byte for byte."""


class Targets(TableCase):
    async def test_forms(self):
        """Only the origin-form is a target here."""
        await self.judge(
            refusing(name, request(target=target) + SMUGGLED)
            for name, target in named(NOT_ORIGIN_FORM)
        )
        await self.judge(
            [
                refusing("OPTIONS *", request(method=b"OPTIONS", target=b"*") + SMUGGLED),
                refusing("CONNECT", request(method=b"CONNECT", target=b"a:443") + SMUGGLED),
                refusing("CONNECT path", request(method=b"CONNECT") + SMUGGLED),
                refusing("TRACE", request(method=b"TRACE") + SMUGGLED),
            ]
        )

    async def test_dot_segments(self):
        """No spelling of a dot segment passes."""
        await self.refused_below(DOTS)

    async def test_slashes(self):
        """No empty segment passes, and no encoded slash or backslash."""
        await self.refused_below(SLASHES)

    async def test_odd_bytes(self):
        """No control character, raw 8-bit character or fragment passes, encoded or not."""
        await self.refused_below(ODD_BYTES)

    async def test_escapes(self):
        """No bad escape passes, no escape of an unreserved character, no overlong UTF-8."""
        await self.refused_below(ESCAPES)

    async def test_look_alikes(self):
        """No character passes that normalisation turns into an ASCII one."""
        await self.refused_below(LOOK_ALIKES)

    async def test_whole_paths(self):
        """Prefix, version, `tool` and the tool's name have one spelling each."""
        await self.judge(
            refusing(f"{name} {who}", request(target=target) + SMUGGLED, certificate=who)
            for name, target in named(WHOLE)
            for who in ("tool-tf-test", None, "service-components-api")
        )

    async def test_foreign_paths(self):
        """What can be read in one way and is not the caller's own is refused by name."""
        await self.judge(
            Case(
                ascii(target), request(target=target), (status,), reason=word, goes_on=status != 400
            )
            for target, status, word in FOREIGN
        )

    async def test_passing(self):
        """What can be read in one way passes byte for byte, less the prefix."""
        await self.judge(
            Case(name[:60], request(target=OWN + rest), arrives=(arriving(target=OWN[5:] + rest),))
            for name, rest in named(GOOD)
        )

    async def refused_below(self, rows: list[bytes]) -> None:
        """These are refused behind the tool's own path, whoever asks."""
        await self.judge(
            refusing(f"{name} {who}", request(target=OWN + rest) + SMUGGLED, certificate=who)
            for name, rest in named(rows)
            for who in ("tool-tf-test", "service-components-api")
        )

"""Identity headers: nothing a client says of itself reaches a backend as ours."""

from __future__ import annotations

from collections.abc import Iterator

from tests.strict.table import Case, TableCase, arriving, named, request

CLAIMS = [
    b"X-Toolforge-Tool", b"X-Toolforge-User", b"Forwarded", b"X-Forwarded-For", b"X-Forwarded-Host",
    b"X-Forwarded-Proto", b"X-Forwarded-Port", b"X-Forwarded-Prefix", b"X-Forwarded-Server",
    b"X-Forwarded-User", b"X-Forwarded-Groups", b"X-Forwarded-Email", b"X-Forwarded-Client-Cert",
    b"X-Forwarded-Anything", b"X-Real-IP", b"X-Original-URL", b"X-Original-URI", b"X-Original-Host",
    b"X-Original-Method", b"X-Rewrite-URL", b"X-Remote-User", b"X-Remote-Group",
    b"X-Remote-Extra-Scopes",
    b"X-SSL-Client-Verify", b"X-SSL-Client-DN", b"X-SSL-Anything", b"ssl-client-subject-dn",
    b"ssl-client-verify", b"ssl-client-cert", b"X-Request-ID", b"Impersonate-User",
    b"Impersonate-Group",
]  # fmt: skip

ALIASES = [b"_", b".", b"~", b"!", b"#", b"$", b"%", b"&", b"'", b"*", b"+", b"^", b"`", b"|"]
"""Every token character besides the hyphen that is no letter or digit."""

PASSING = [
    b"X-Toolforge-Trace: 1", b"X_Other: 1", b"X-Toolforge: 1", b"X-Toolforge-Tools: 1",
    b"X-Toolforge-Username: 1", b"XToolforge-Tool: 1", b"X-ToolforgeTool: 1",
    b"My-X-Toolforge-Tool: 1",
    b"X-Toolforge-Tool-Name: 1", b"XForwarded-For: 1", b"X-ForwardedFor: 1", b"Real-IP: 1",
    b"X-Original: 1", b"X-Remotely: 1", b"SSL-Clients: 1", b"X-Request-Identity: 1",
    b"User: victim", b"Tool: victim", b"From: victim@example", b"X-Impersonate: 1", b"Accept: */*",
    b"User-Agent: x", b"Referer: https://x/", b"Trace-Parent: 00-1-2-3", b"Content-Type: a/b",
]  # fmt: skip

CONNECTION_KEEPS = [
    b"X-Toolforge-Tool", b"X-Toolforge-User", b"X-Forwarded-For", b"X-Forwarded-Host",
    b"X-Forwarded-Proto", b"X-Request-ID", b"Host", b"host", b"X_Toolforge_Tool",
    b"X-Toolforge-Tool, X-Toolforge-User", b",,X-Toolforge-Tool,,", b"keep-alive, X-Toolforge-Tool",
]  # fmt: skip

HOP_BY_HOP = [
    b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive", b"Proxy-Authorization: Basic x",
    b"Proxy-Authenticate: x", b"Proxy: http://evil/", b"TE: trailers", b"TE: chunked",
    b"Trailer: X",
    b"Upgrade: websocket", b"Upgrade: h2c",
    b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAA",
    b"Upgrade_: x\r\nUpgrade: TLS/1.0", b"Connection: X-Hop\r\nX-Hop: 1", b"Connection: keep-alive",
    b"X-Hop: 1\r\nConnection: x-HOP", b"Authorization: Bearer x", b"authorization: Basic x",
    b"Cookie: a=b", b"COOKIE: a=b", b"Proxy_Authorization: x", b"Keep.Alive: 1", b"T+E: 1",
]  # fmt: skip
"""Dropped; `Upgrade_` and `T+E` are somebody else's and are taken out below."""

METHOD_CLAIMS = [
    b"X-HTTP-Method-Override: DELETE",
    b"X-HTTP-Method: PUT",
    b"X-Method-Override: PUT",
]


def spellings(name: bytes) -> Iterator[bytes]:
    """A name as clients may write it who hope that we know it by another."""
    yield name
    yield name.lower()
    yield name.upper()
    yield name.swapcase()
    for alias in ALIASES:
        yield name.replace(b"-", alias)
    yield name.replace(b"-", b"_", 1)
    yield name.lower().replace(b"-", b".", 1)


class Identity(TableCase):
    async def test_claims(self):
        """No spelling of a claim passes, with a certificate or without."""
        await self.judge(
            Case(
                f"{name} {who}",
                request(*(spelling + b": victim" for spelling in spellings(name))),
                arrives=(arriving(tool=tool),),
                certificate=who,
            )
            for name in CLAIMS
            for who, tool in (("tool-tf-test", b"tf-test"), (None, None))
        )

    async def test_everything_at_once(self):
        """All claims together leave exactly what the gateway says itself."""
        lines = [name + b": 6.6.6.6" for name in CLAIMS]
        lines += [name.replace(b"-", b"_") + b": victim" for name in CLAIMS]
        lines += METHOD_CLAIMS
        await self.judge([Case("all", request(*lines), arrives=(arriving(),))])

    async def test_passing(self):
        """A name that is only like a claim is nobody's business here."""
        await self.judge(
            Case(name, request(line), arrives=(arriving(line),)) for name, line in named(PASSING)
        )

    async def test_connection(self):
        """Connection removes nothing of the gateway's own, and cannot bring a claim back."""
        await self.judge(
            Case(
                name,
                request(b"Connection: " + option, b"X-Toolforge-Tool: victim"),
                arrives=(arriving(),),
            )
            for name, option in named(CONNECTION_KEEPS)
        )
        kept = [b"X-Toolforge-Trace: 1", b"Accept: a/b", b"Content-Type: a/b", b"Range: bytes=0-1"]
        kept += [b"If-Match: x", b"User-Agent: x"]
        await self.judge(
            Case(
                f"keeps {name}",
                request(b"Connection: " + line.partition(b":")[0], line),
                arrives=(arriving(line),),
            )
            for name, line in named(kept)
        )
        body = request(b"Connection: content-length", b"Content-Length: 5", body=b"hello")
        arrived = arriving(framing=b"Content-Length: 5", body=b"hello")
        await self.judge([Case("length", body, arrives=(arrived,))])

    async def test_hop_by_hop(self):
        """What concerns one connection, and credentials for others, stay behind."""
        passing = {b"Upgrade_: x\r\nUpgrade: TLS/1.0": b"Upgrade_: x", b"T+E: 1": b"T+E: 1"}
        await self.judge(
            Case(
                name,
                request(line),
                arrives=(arriving(*([passing[line]] if line in passing else [])),),
            )
            for name, line in named(HOP_BY_HOP)
        )

    async def test_services(self):
        """A service is told as itself, for the tool of the path, whatever it claims."""
        arrived = arriving().replace(b"User: tf-test", b"User: service:components-api")
        client = await self.client("service-components-api")
        client.send(request(b"X-Toolforge-User: admin", b"X-Toolforge-Tool: victim"))
        await client.until(b"\r\n\r\nok")
        self.assertEqual([self.seen(each) for each in self.recorder.requests], [arrived])


class TrustedHop(TableCase):
    """A hop whose X-Forwarded-* count."""

    listener = {"forwarded": {"trusted": [{"cidr": "127.0.0.1/32"}]}}

    async def judge_fields(self, rows) -> None:
        """Each row: what is said, and the For, Proto, Host and id that must arrive."""
        for said, expected in rows:
            self.recorder.requests.clear()
            client = await self.client()
            client.send(request(*said))
            await client.until(b"\r\n\r\nok")
            client.transport.abortConnection()
            (arrived,) = self.recorder.requests
            fields = arrived.split(b"\r\n")[2:]
            for line in expected:
                self.assertIn(line, fields, said)
            names = [line.partition(b":")[0].lower() for line in fields]
            for name in (
                b"x-forwarded-for",
                b"x-forwarded-proto",
                b"x-request-id",
                b"x-toolforge-tool",
            ):
                self.assertEqual(names.count(name), 1, said)

    async def test_words(self):
        """It is believed where it is well-formed, each word on its own; never about who calls."""
        ours = b"X-Forwarded-For: 127.0.0.1"
        await self.judge_fields(
            [
                ((b"X-Forwarded-For: 192.0.2.1",), [b"X-Forwarded-For: 192.0.2.1, 127.0.0.1"]),
                ((b"X-Forwarded-For: 2001:db8::1",), [b"X-Forwarded-For: 2001:db8::1, 127.0.0.1"]),
                ((b"X-Forwarded-For: unknown",), [ours]),
                ((b"X-Forwarded-For: 192.0.2.1:80",), [ours]),
                ((b"X-Forwarded-For: 192.0.2.1, x",), [ours]),
                ((b"X-Forwarded-For: 192.0.2.1;x",), [ours]),
                ((b"X-Forwarded-For: 192.0.2.1%0a",), [ours]),
                ((b"X-Forwarded-For: 010.0.0.1",), [ours]),
                ((b"X-Forwarded-For: ::1%25x",), [ours]),
                ((b"X-Forwarded-For:",), [ours]),
                ((b"X_Forwarded_For: 192.0.2.1",), [ours]),
                ((b"X-Forwarded-Proto: http",), [b"X-Forwarded-Proto: http"]),
                ((b"X-Forwarded-Proto: ftp",), [b"X-Forwarded-Proto: https"]),
                ((b"X-Forwarded-Proto: http, https",), [b"X-Forwarded-Proto: https"]),
                ((b"X-Forwarded-Proto: http",) * 2, [b"X-Forwarded-Proto: https"]),
                ((b"X-Forwarded-Host: a.example",), [b"X-Forwarded-Host: a.example"]),
                ((b"X-Forwarded-Host: a/b",), [b"X-Forwarded-Host: localhost"]),
                ((b"X-Forwarded-Host: a, b",), [b"X-Forwarded-Host: localhost"]),
                ((b"X-Request-ID: abc-1",), [b"X-Request-ID: abc-1"]),
                ((b"X-Toolforge-Tool: victim",), [b"X-Toolforge-Tool: tf-test"]),
                ((b"X-Real-IP: 192.0.2.1",), [ours]),
                ((b"Forwarded: for=192.0.2.1",), [ours]),
            ]
        )
        for bad in (b"a b", b"a\xe4", b"a;b", b"", b"a" * 129, b'a"b', b"a,b"):
            self.recorder.requests.clear()
            client = await self.client()
            client.send(request(b"X-Request-ID: " + bad))
            await client.until(b"\r\n\r\nok")
            self.assertRegex(self.recorder.requests[0], rb"\r\nX-Request-ID: [0-9a-f]{32}\r\n")

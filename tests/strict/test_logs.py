"""Logs and errors: nothing of a caller's breaks out of its line, and no secret is in one."""

from __future__ import annotations

import io
import json

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.logger import globalLogPublisher, textFileLogObserver

from tests.strict.table import PATH, Recorder, TableCase, request, status

SECRET = b"7h3-s3cr3t"
UUID = b"0a1b2c3d-0000-4000-8000-7ec237ec2370"
DEPLOYMENT = b"/jobs/v1/tool/tf-test/deployment"

SECRETIVE = [
    request(target=PATH + b"?token=" + SECRET), request(target=PATH + b"?TOKEN=" + SECRET),
    request(target=PATH + b"?tok%65n=" + SECRET), request(target=PATH + b"?a=b&token=" + SECRET),
    request(target=PATH + b"?%74%6f%6b%65%6e=" + SECRET), request(target=PATH + b"?" + SECRET),
    request(target=PATH + b"?x[token]=" + SECRET), request(target=PATH + b"??token=" + SECRET),
    request(target=PATH + b";token=" + SECRET), request(target=PATH + b"&token=" + SECRET),
    request(target=PATH + b"%3ftoken=" + SECRET), request(target=PATH + b"%3Ftoken%3d" + SECRET),
    request(target=PATH + b"%3ftoken%3D" + SECRET + b"/x"),
    request(target=PATH + b"/token=" + SECRET),
    request(target=b"/healthz?token=" + SECRET), request(target=b"/?token=" + SECRET),
    request(target=b"/nowhere?token=" + SECRET), request(target=b"/jobs?token=" + SECRET),
    request(target=b"/jobs/v1/tool/victim?token=" + SECRET), request(target=b"*?token=" + SECRET),
    request(target=b"/jobs/%zz?token=" + SECRET), request(target=PATH + b"?token=%" + SECRET),
    request(target=PATH + b"?token=\xff" + SECRET), request(target=PATH + b"#token=" + SECRET),
    request(target=b"https://localhost" + PATH + b"?token=" + SECRET),
    request(target=b"/jobs/../x?token=" + SECRET), request(target=b"//x?token=" + SECRET),
    request(target=b"https://user:" + SECRET + b"@localhost/"), b"token=" + SECRET + b"\r\n\r\n",
    b"GET " + PATH + b"?token=" + SECRET + b"\r\n\r\n",
    b"GET " + PATH + b"?token=" + SECRET + b"\n",
    request(target=PATH + b"?token=" + SECRET + b" HTTP/1.1 x"),
    request(target=PATH + b"?token=" + SECRET + b"a" * 9000),
    request(host=b"Host: " + SECRET + b"@localhost"), request(host=b"Host: a/" + SECRET),
    request(b"Referer: https://x/?token=" + SECRET), request(b"Authorization: Bearer " + SECRET),
    request(b"Cookie: session=" + SECRET), request(b"Proxy-Authorization: Basic " + SECRET),
    request(b"X-Api-Key: " + SECRET), request(b"X-Request-ID: " + SECRET),
    request(b"User-Agent: " + SECRET), request(b"X-Forwarded-For: " + SECRET),
    request(b"X : " + SECRET), request(SECRET), request(SECRET + b"\x00: x"),
    request(b"Expect: " + SECRET), request(b"Connection: " + SECRET + b"@"),
    request(b"Content-Length: " + SECRET), request(b"Transfer-Encoding: " + SECRET),
    request(b"Content-Length: 10", body=SECRET, method=b"POST"),
    request(b"Transfer-Encoding: chunked", body=SECRET + b"\r\n", method=b"POST"),
    request(b"Transfer-Encoding: chunked", body=b"1;" + SECRET + b"@\r\n", method=b"POST"),
    request(b"Transfer-Encoding: chunked", body=b"0\r\n" + SECRET + b"\r\n\r\n", method=b"POST"),
    request(target=DEPLOYMENT + b"?token=" + UUID, method=b"POST"),
    request(target=DEPLOYMENT + b"?tok%65n=" + UUID, method=b"POST"),
    request(target=DEPLOYMENT + b"?token=" + UUID + b"&token=" + UUID, method=b"POST"),
    request(target=DEPLOYMENT + b"?token=" + UUID + b"x", method=b"POST"),
    request(target=PATH + b"?token=" + UUID), request(target=b"/jobs/v1/tool/x?token=" + UUID),
]  # fmt: skip

INJECTING = [
    request(target=PATH + b"%0d%0afake"), request(target=PATH + b"%1b%5b31m"),
    request(target=PATH + b"%00"),
    request(target=PATH + b'/%22,%22status%22:200'), request(target=PATH + b"/%5cn"),
    request(target=PATH + b"/%e2%80%a8"), request(target=PATH + b"/%c2%9b31m"),
    request(target=PATH + b"/%3cscript%3e"),
    request(target=PATH + b"/'\""), request(target=PATH + b"/${jndi:ldap://x}"),
    request(target=PATH + b"/$(id)"),
    request(target=PATH + b"/%7b%7d"), request(target=PATH + b"/{request_id}"),
    request(target=PATH + b"/%25s%25n%25d"),
    request(target=PATH + b"/%c3%a4"), request(method=b"G'T"), request(method=b"%S%N"),
    request(method=b"{}"),
    request(method=b"A" * 3000), request(target=PATH + b"/" + b"a" * 5000),
    request(host=b"Host: a\x1b[31m"), request(host=b"Host: a\r\nfake"),
    request(host=b'Host: a","status":"200'),
    request(b"User-Agent: \x1b[31m"), request(b"X: a\nfake: b"), request(b"X-Request-ID: a\"b"),
    request(b"X-Forwarded-For: \"};fake"), b"\x1b[31mGET / HTTP/1.1\r\n\r\n", b"fake\nlog\nline\n",
    b"\x00" * 50,
    b'{"time":"fake"}\r\n\r\n', b"%s%n{request_id}\r\n\r\n",
]  # fmt: skip

BACKEND_SAYS = [
    b"HTTP/1.1 302 Found\r\nLocation: https://x/?token=%b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: /x?token=%b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 307 %b\r\nContent-Location: ?token=%b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nSet-Cookie: a=%b\r\nContent-Length: 0\r\n\r\n", b"%b\r\n\r\n",
    b"HTTP/1.1 %b\r\n\r\n", b"HTTP/1.1 200 OK\r\n%b\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: %b\x00\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: %b\r\n\r\n", b"HTTP/1.1 101 %b\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%b\r\n",
]  # fmt: skip


class Logs(TableCase):
    def setUp(self):
        super().setUp()
        self.twistd_log = io.StringIO()
        observer = textFileLogObserver(self.twistd_log)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def authenticators(self) -> list[dict]:
        paths = ["POST /jobs/v1/tool/{tool}/deployment"]
        return [
            *super().authenticators(),
            {"kind": "deploy-token", "parameter": "token", "paths": paths},
        ]

    async def send_all(self, rows: list[bytes], certificates: list[str | None]) -> int:
        """Send each on its own connection, wait for its answer; how many there were."""
        for sent in rows:
            for certificate in certificates:
                client = await self.client(certificate)
                client.send(sent)
                await self.answered(client)
                client.transport.abortConnection()
                await client.closed()
        return len(rows) * len(certificates)

    def access_lines(self) -> list[str]:
        return (self.folder / "access.log").read_text().split("\n")[:-1]

    def assert_secret(self, *secrets: bytes) -> None:
        """Neither log has any of these."""
        everything = "\n".join([*self.access_lines(), self.twistd_log.getvalue()]).lower()
        for secret in secrets:
            self.assertNotIn(secret.decode("ascii").lower(), everything)

    async def test_secrets(self):
        """Whatever a client puts into a query, a value or a broken message is in no log."""
        count = await self.send_all(SECRETIVE, ["tool-tf-test", None])
        await self.settled(count)
        self.assert_secret(SECRET, UUID)

    async def test_backends_secrets(self):
        """Neither is what a backend says in a Location, or in an answer that is none."""
        for says in BACKEND_SAYS:
            self.recorder.answer = says.replace(b"%b", SECRET)
            await self.send_all([request()], ["tool-tf-test"])
        await self.settled(len(BACKEND_SAYS))
        self.assert_secret(SECRET)

    async def test_injection(self):
        """Each exchange is one line of printable ASCII that is one JSON object."""
        count = await self.send_all(INJECTING, ["tool-tf-test"])
        await self.settled(count)
        for line in self.access_lines():
            self.assertTrue(line.isascii() and line.isprintable(), line)
            self.assertLess(len(line), 8000)
            self.assertIn(json.loads(line)["status"], (200, 400, 403, 404, 417), line)
        log = self.twistd_log.getvalue()
        self.assertNotIn("\x1b", log)
        self.assertNotIn("fake", log)
        self.assertNotIn("Traceback", log)

    async def settled(self, count: int) -> None:
        """All lines are written."""
        for _ in range(100):
            if len(self.access_lines()) >= count:
                break
            await deferLater(reactor, 0.01)
        self.assertEqual(len(self.access_lines()), count)


class Addresses(TableCase):
    """The backend is at an address that no client is to see."""

    async def test_locations(self):
        """An address in a Location of the backend's own is not what the client gets."""
        own = b"https://127.0.0.1:%d" % self.backend.number
        for header in (b"Location", b"Content-Location"):
            for value in (own + b"/v1/x", own, own + b"?token=x", own.replace(b"s:", b":") + b"/y"):
                answer = b"HTTP/1.1 201 OK\r\n%b: %b\r\nContent-Length: 0\r\n\r\n" % (header, value)
                self.recorder = self.backend.script = Recorder()
                self.recorder.answer = answer
                client = await self.client()
                client.send(request())
                await self.answered(client)
                self.assertEqual(status(client.received), 201)
                self.assertNotIn(b"127.0.0.1", client.received)
                self.assertNotIn(b"%d" % self.backend.number, client.received)
                self.assertIn(b": https://localhost/jobs", client.received)

"""The page that tells a caller who they are."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from twisted.trial.unittest import SynchronousTestCase

from tests.clients.stage import eventually, pki
from tests.relay.stage import Stage, refused
from toolforge_gateway.edge.whoami import describe, rfc3339
from toolforge_gateway.model import Certificate, DistinguishedName

ASK = b"GET /whoami HTTP/1.1\r\nHost: localhost\r\n\r\n"


class WhoamiTests(Stage):
    async def account(self, certificate: str | None) -> dict:
        answer = await self.ask(ASK, b"}\n", certificate)
        head, _, body = answer.partition(b"\r\n\r\n")
        self.assertIn(b" 200 OK\r\n", head)
        self.assertIn(b"\r\nCache-Control: no-store\r\n", head + b"\r\n")
        self.assertIn(b"\r\nContent-Type: application/json\r\n", head + b"\r\n")
        return json.loads(body)

    async def test_tool(self):
        """A tool is told its name, its certificate and its own paths."""
        said = await self.account("tool-tf-test")
        self.assertEqual(
            (said["name"], said["kind"], said["authenticator"]),
            ("tf-test", "tool", "kubernetes-certificate"),
        )
        [api] = said["apis"]
        self.assertEqual(api["allowed"], "own-tool")
        self.assertEqual(api["paths"][0], "/jobs/v{n}/tool/tf-test/...")
        self.assertIn("/jobs/openapi.json", api["paths"])
        self.assertNotIn("patterns", api)
        self.assertNotIn("message", said)
        await eventually(self.log)
        self.assertEqual(said["request_id"], self.log()[0]["request_id"])

    async def test_certificate(self):
        """Its validity is what the certificate says."""
        pem = Path(pki(), "tool-tf-test.crt").read_bytes()
        certificate = x509.load_pem_x509_certificate(pem)
        said = (await self.account("tool-tf-test"))["certificate"]
        self.assertEqual(said["subject"], "O=toolforge,CN=tf-test")
        self.assertEqual(said["client_ca"], "kubernetes")
        self.assertEqual(said["fingerprint_sha256"], certificate.fingerprint(hashes.SHA256()).hex())
        ends = datetime.strptime(said["not_after"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        began = datetime.strptime(said["not_before"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        self.assertEqual((ends - began).days, 365)
        self.assertEqual(said["days_left"], (ends - datetime.now(UTC)).days)

    async def test_others(self):
        """A service sees its patterns, an administrator what is open without any."""
        service = await self.account("service-components-api")
        self.assertEqual((service["name"], service["kind"]), ("service:components-api", "service"))
        [api] = service["apis"]
        self.assertEqual((api["allowed"], api["patterns"]), ("patterns", ["^.*$"]))
        admin = await self.account("admin")
        self.assertEqual((admin["name"], admin["kind"]), ("root-admin", "admin"))
        self.assertEqual(admin["apis"][0]["patterns"], [])
        self.assertIn("/jobs/v{n}/healthz", admin["apis"][0]["paths"])

    async def test_nobody(self):
        """Without a certificate one is told what to do about it."""
        said = await self.account(None)
        self.assertEqual(
            (said["name"], said["kind"], said["certificate"]), (None, "anonymous", None)
        )
        self.assertIn("no client certificate came", said["message"])
        self.assertEqual(said["apis"][0]["allowed"], "as-nobody")

    async def test_token(self):
        """A token is neither looked at here nor repeated."""
        token = b"11111111-2222-3333-4444-555555555555"
        answer = await self.ask(ASK.replace(b"/whoami", b"/whoami?token=" + token), b"}\n", None)
        self.assertNotIn(token, answer)
        await eventually(self.log)
        self.assertNotIn(token.decode(), json.dumps(self.log()))

    async def test_unknown(self):
        """A certificate that nobody knows is refused, with why."""
        answer = await self.ask(ASK, b"}\n", "gateway-client")
        self.assertEqual(refused(answer), (403, "certificate-not-recognized"))

    async def test_reading(self):
        """HEAD is GET without the body, and nothing else is a method of it."""
        got = await self.ask(ASK, b"}\n")
        length = len(got.partition(b"\r\n\r\n")[2])
        head = await self.ask(ASK.replace(b"GET", b"HEAD") + ASK, b"}\n")
        first, second = head.split(b"\r\n\r\n", 1)
        self.assertIn(b"\r\nContent-Length: %d" % length, first)
        self.assertTrue(second.startswith(b"HTTP/1.1 200 OK\r\n"), second)
        answer = await self.ask(ASK.replace(b"GET", b"POST"), b"}\n")
        self.assertEqual(refused(answer), (405, "read-only-page"))
        below = await self.ask(ASK.replace(b"/whoami", b"/whoami/x"), b"}\n")
        self.assertEqual(refused(below), (404, "no-such-path"))


class Closed(Stage):
    """A backend that anonymous callers do not get to."""

    backend_keys = {"anonymous": "refuse", "tool_path": None, "name": "closed"}

    async def test_nobody(self):
        """Only what is open to all is open."""
        said = json.loads((await self.ask(ASK, b"}\n", None)).partition(b"\r\n\r\n")[2])
        [api] = said["apis"]
        self.assertEqual((api["name"], api["allowed"]), ("closed", "open-paths"))
        self.assertEqual(
            api["paths"], ["/jobs/openapi.json", "/jobs/v{n}/healthz", "/jobs/v{n}/metrics"]
        )

    async def test_tool(self):
        """Without tools in its paths everything is open to whoever is somebody."""
        said = json.loads((await self.ask(ASK, b"}\n")).partition(b"\r\n\r\n")[2])
        self.assertEqual(
            (said["apis"][0]["allowed"], said["apis"][0]["paths"]), ("all", ["/jobs/..."])
        )


class Describe(SynchronousTestCase):
    def test_days(self):
        """Days are whole and rounded down, also after the end; a DN can be read in one way."""
        subject = DistinguishedName((("O", "a,b"), ("CN", 'x=1+2 "<\\>;')))
        certificate = Certificate(subject, "k", frozenset(), 0, 100 * 86400.0, "ff")
        for now, left in ((0, 100), (1, 99), (100 * 86400, 0), (100 * 86400 + 1, -1)):
            self.assertEqual(describe(certificate, now)["days_left"], left)
        said = describe(certificate, 0)
        self.assertEqual(said["subject"], 'O=a\\,b,CN=x\\=1\\+2 \\"\\<\\\\\\>\\;')
        self.assertEqual(said["not_after"], "1970-04-11T00:00:00Z")
        self.assertEqual(rfc3339(253402300799), "9999-12-31T23:59:59Z")

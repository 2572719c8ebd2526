"""What `/auth` answers to proxies that ask."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.clients.stage import eventually, pki
from tests.relay.scripted import TOOL, ScriptedStage
from tests.relay.stage import Stage
from toolforge_gateway.errors import BadEvidence

JOBS = "/jobs/v1/tool/tf-test/jobs"
PROXY = "gateway-client"
"""Whose certificate the proxy has: CN api-gateway, of the backends' CA."""


def pem(name: str) -> bytes:
    return Path(pki(), f"{name}.crt").read_bytes()


def der(name: str) -> bytes:
    return x509.load_pem_x509_certificate(pem(name)).public_bytes(Encoding.DER)


def escaped(name: str) -> str:
    """As nginx writes $ssl_client_escaped_cert."""
    return quote(pem(name), safe="")


def encoded(name: str) -> str:
    """As Caddy and HAProxy write it."""
    return base64.b64encode(der(name)).decode("ascii")


def xfcc(name: str) -> str:
    """As Envoy writes it."""
    return f'Hash={"0" * 64};Cert="{escaped(name)}";Subject="CN={name},O=toolforge"'


def asking(
    dialect: str, shown: str | None = None, uri: str = JOBS, method: str = "GET", *more: str
) -> bytes:
    """The request in which a proxy of a dialect asks."""
    original = {
        "nginx": ("X-Original-Method", "X-Original-URI"),
        "haproxy": ("X-Original-Method", "X-Original-URI"),
        "traefik": ("X-Forwarded-Method", "X-Forwarded-Uri"),
        "caddy": ("X-Forwarded-Method", "X-Forwarded-Uri"),
    }.get(dialect)
    lines = ["Host: gateway"]
    if original is None:
        start = f"{method} /auth{uri}"
    else:
        start = "GET /auth"
        lines += [f"{original[0]}: {method}", f"{original[1]}: {uri}"]
    if shown is not None:
        lines.append(f"X-Shown: {shown}")
    return "\r\n".join([f"{start} HTTP/1.1", *lines, *more, "", ""]).encode("latin-1")


def proxy(dialect: str, **more: object) -> dict:
    return {
        "name": f"a-{dialect}",
        "client_ca": "backend",
        "cn": "api-gateway",
        "dialect": dialect,
        "certificate_from": "X-Shown",
        **more,
    }


class Asked(Stage):
    """A gateway that believes one proxy."""

    dialect = "nginx"
    identifies = ["tool"]
    certificate_from = "X-Shown"

    def document(self):
        entry = proxy(
            self.dialect, identifies=self.identifies, certificate_from=self.certificate_from
        )
        return {**super().document(), "auth": {"trusted_proxies": [entry]}}

    async def answer(self, request: bytes, certificate: str | None = PROXY) -> tuple[int, dict]:
        """The status, and the answer's fields (lower case) with the body's `reason`."""
        client = await self.client(certificate)
        client.send(request)
        received = await client.until(b"\r\n\r\n")
        head, _, _ = received.partition(b"\r\n\r\n")
        start, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(fields["content-length"])
        if not request.startswith(b"HEAD"):
            await client.until(lambda: len(client.received) == len(head) + 4 + length)
        body = client.received[len(head) + 4 :]
        fields["reason"] = fields.get("x-toolforge-reason", "")
        if body:
            said = json.loads(body)["reason"]
            self.assertEqual(fields["reason"] or said, said)
            fields["reason"] = said
        client.transport.loseConnection()
        return int(start.split()[1]), fields

    async def outcome(self, request: bytes, certificate: str | None = PROXY) -> str:
        """`allowed TOOL USER`, or the status and the reason word."""
        status, fields = await self.answer(request, certificate)
        if status == 200:
            self.assertEqual(fields["content-length"], "0")
            told = fields.get("x-toolforge-tool", "-"), fields.get("x-toolforge-user", "-")
            return f"allowed {told[0]} {told[1]}"
        self.assertNotIn("x-toolforge-tool", fields)
        self.assertNotIn("x-toolforge-user", fields)
        return f"{status} {fields['reason']}"


class Nginx(Asked):
    """The dialect of nginx, which stands for what is common to all."""

    async def test_allowed(self):
        """A tool's own path is allowed, and the answer says who it is, with no body."""
        status, fields = await self.answer(asking("nginx", escaped("tool-tf-test")))
        self.assertEqual(status, 200)
        self.assertEqual(
            {name: fields[name] for name in fields if name.startswith("x-toolforge-")},
            {
                "x-toolforge-tool": "tf-test",
                "x-toolforge-user": "tf-test",
                "x-toolforge-reason": "own-tool",
            },
        )
        self.assertEqual((fields["content-length"], fields["cache-control"]), ("0", "no-store"))
        self.assertEqual(self.backend.connections, [])

    async def test_outcomes(self):
        """The reasons are those of forwarded requests; what is not 401 is 403."""
        tool = escaped("tool-tf-test")
        for request, expected in (
            (asking("nginx", escaped("tool-other")), "403 foreign-tool"),
            (asking("nginx"), "allowed - -"),
            (asking("nginx", ""), "allowed - -"),
            (asking("nginx", tool, "/jobs/v1/quota"), "403 not-tool-scoped"),
            (asking("nginx", tool, "/jobs/openapi.json"), "allowed tf-test tf-test"),
            (asking("nginx", tool, "/nothing/here"), "403 no-such-path"),
            (asking("nginx", tool, "/auth"), "403 no-such-path"),
            (asking("nginx", tool, "/auth/jobs"), "403 no-such-path"),
            (asking("nginx", tool, "/healthz"), "allowed - -"),
            (asking("nginx", tool, "/whoami"), "allowed - -"),
            (asking("nginx", tool, "/jobs/v1/%74ool/tf-test/jobs"), "403 escaped-unreserved"),
            (asking("nginx", tool, "/jobs//v1/tool/tf-test"), "403 empty-segment"),
            (asking("nginx", tool, "/jobs/../jobs/v1/tool/tf-test"), "403 dot-segment"),
            (asking("nginx", tool, "/jobs/v1/tool/tf-test%2Fx"), "403 encoded-separator"),
            (asking("nginx", tool, "https://a" + JOBS), "403 not-origin-form"),
            (asking("nginx", tool, JOBS + " HTTP/1.1"), "403 bad-request-line"),
            (asking("nginx", tool, "/" + "a" * 9000), "403 request-line-too-long"),
            (asking("nginx", tool, JOBS, "CONNECT"), "403 method-refused"),
            (asking("nginx", tool, JOBS, "get"), "403 bad-method"),
            (asking("nginx", tool, JOBS, "GET,POST"), "403 bad-method"),
            (asking("nginx", tool, JOBS, "PROPFIND"), "allowed tf-test tf-test"),
            (asking("nginx", "garbage"), "403 bad-certificate-header"),
            (asking("nginx", escaped("tool-tf-test")[:-20]), "403 bad-certificate-header"),
            (asking("nginx", escaped("server")), "403 certificate-unverified"),
            (asking("nginx", escaped("backend")), "403 certificate-unverified"),
            (asking("nginx", escaped("k8s-ca")), "403 certificate-of-authority"),
            (asking("nginx", "CN=tf-test,O=toolforge"), "allowed tf-test tf-test"),
            (asking("nginx", "O=toolforge,CN=tf-test"), "allowed tf-test tf-test"),
            (asking("nginx", "CN=root-admin,O=admins"), "403 certificate-kind"),
            (asking("nginx", "/O=toolforge/CN=tf-test"), "403 bad-certificate-header"),
            (asking("nginx", "CN=tf-test,CN=other,O=toolforge"), "403 certificate-subject"),
            (
                asking("nginx", "CN=service:components-api,O=toolforge"),
                "403 certificate-subject",
            ),
            (asking("nginx", escaped("admin"), "/jobs/openapi.json"), "403 certificate-kind"),
            (asking("nginx", escaped("service-components-api")), "403 certificate-not-recognized"),
        ):
            self.assertEqual(await self.outcome(request), expected, request[:300])

    async def test_headers(self):
        """Each header of the dialect is there once, and no other dialect's counts."""
        tool = escaped("tool-tf-test")
        good = asking("nginx", tool)
        for name in (
            "X-Original-Method",
            "X-Original-URI",
            "X-Shown",
            "X-Original-Host",
            "X-Real-IP",
        ):
            twice = good[:-2] + f"{name.lower()}: a\r\n".encode() * 2 + b"\r\n"
            self.assertEqual(await self.outcome(twice), "400 repeated-header", name)
        for name, reason in (
            (b"X-Original-Method: GET\r\n", "403 no-original-method"),
            (b"X-Original-URI: %b\r\n" % JOBS.encode(), "403 no-original-uri"),
        ):
            self.assertEqual(await self.outcome(good.replace(name, b"")), reason)
            self.assertEqual(
                await self.outcome(good.replace(name, name.partition(b" ")[0] + b"\r\n")), reason
            )
        for line in (
            "X-Forwarded-Method: DELETE",
            "X-Forwarded-Uri: /jobs/v1/tool/other/jobs",
            "X-Forwarded-Client-Cert: " + xfcc("tool-other"),
            "X-Forwarded-Tls-Client-Cert: " + encoded("tool-other"),
            "X-Client-Certificate: " + encoded("tool-other"),
            "X_Original_URI: /jobs/v1/tool/other/jobs",
            "X-Toolforge-Tool: other",
            "X-Original-URL: /jobs/v1/tool/other/jobs",
        ):
            request = asking("nginx", tool, JOBS, "GET", line, line)
            self.assertEqual(await self.outcome(request), "allowed tf-test tf-test", line)
        nothing = asking("traefik", None, JOBS, "GET", "X-Shown: " + tool)
        self.assertEqual(await self.outcome(nothing), "403 no-original-method")
        host = asking("nginx", tool, JOBS, "GET", "X-Original-Host: a b")
        self.assertEqual(await self.outcome(host), "403 bad-original-host")

    async def test_nobody_else(self):
        """Whoever is not the proxy is told so, and what they say is not looked at."""
        request = asking("nginx", escaped("tool-tf-test"))
        for certificate in (None, "tool-tf-test", "service-components-api", "admin"):
            status, fields = await self.answer(request, certificate)
            self.assertEqual((status, fields["reason"]), (403, "not-a-trusted-proxy"))
        for path in (b"/auth/jobs", b"/auth/"):
            answer = await self.outcome(request.replace(b"/auth", path, 1))
            self.assertEqual(answer, "404 no-such-path")

    async def test_cross_site(self):
        """A browser's certificate serves no other site's page, behind a proxy as well."""
        tool = escaped("tool-tf-test")
        own = ("Origin: https://tools.example:8443", "X-Original-Host: tools.example:8443")
        for lines, expected in (
            (("Sec-Fetch-Site: cross-site",), "403 cross-site"),
            (("Origin: https://evil.example",), "403 cross-site"),
            (own, "allowed tf-test tf-test"),
            (own[:1], "403 cross-site"),
        ):
            self.assertEqual(
                await self.outcome(asking("nginx", tool, JOBS, "POST", *lines)), expected
            )
            reading = await self.outcome(asking("nginx", tool, JOBS, "GET", *lines))
            self.assertEqual(reading, "allowed tf-test tf-test")
            nobody = await self.outcome(asking("nginx", None, JOBS, "POST", *lines))
            self.assertEqual(nobody, "allowed - -")

    async def test_keep_alive(self):
        """A connection of the proxy's serves all its clients, each for itself."""
        client = await self.client(PROXY)
        for name, status in (("tool-tf-test", 200), ("tool-other", 403), ("server", 403)) * 3:
            client.take()
            client.send(asking("nginx", escaped(name)))
            received = await client.until(b"\r\n\r\n")
            self.assertTrue(received.startswith(b"HTTP/1.1 %d " % status), received)
            self.assertNotIn(b"\r\nConnection: close", received)

    async def test_pipelined(self):
        """Questions that come together are answered in turn."""
        client = await self.client(PROXY)
        client.send(
            b"".join(asking("nginx", escaped(f"tool-{n}")) for n in ("other", "tf-test") * 20)
        )
        received = await client.until(lambda: client.received.count(b"HTTP/1.1 200") == 20)
        self.assertEqual(received.count(b"HTTP/1.1 403"), 20)

    async def test_log(self):
        """The log tells the original request, and who asked."""
        request = asking(
            "nginx", escaped("tool-tf-test"), JOBS + "?token=x", "PUT", "X-Real-IP: 192.0.2.7"
        )
        await self.outcome(request)
        await eventually(self.log)
        [line] = self.log()
        self.assertEqual(
            [line[key] for key in ("method", "path", "client", "identity", "reason", "asked_by")],
            ["PUT", JOBS, "192.0.2.7", "tf-test", "own-tool", "a-nginx"],
        )
        self.assertEqual(line["status"], 200)

    async def test_body(self):
        """A body that comes along is not waited for."""
        request = asking("nginx", escaped("tool-tf-test"), JOBS, "POST", "Content-Length: 5")
        client = await self.client(PROXY)
        client.send(request)
        self.assertIn(b" 200 OK\r\n", await client.until(b"\r\n\r\n"))


class Widened(Asked):
    """The proxy may show certificates of all kinds."""

    identifies = ["tool", "admin", "service"]

    async def test_kinds(self):
        """Whatever is verified counts; a subject alone is still a tool's only."""
        service = escaped("service-components-api")
        for request, expected in (
            (asking("nginx", escaped("tool-tf-test")), "allowed tf-test tf-test"),
            (asking("nginx", service), "allowed tf-test service:components-api"),
            (asking("nginx", escaped("admin")), "403 admin-not-here"),
            (asking("nginx", escaped("admin"), "/jobs/openapi.json"), "allowed - root-admin"),
            (asking("nginx", "CN=root-admin,O=admins"), "403 certificate-kind"),
            (asking("nginx", "CN=tf-test,O=toolforge"), "allowed tf-test tf-test"),
            (
                asking("nginx", "CN=service:components-api,O=toolforge"),
                "403 certificate-subject",
            ),
        ):
            self.assertEqual(await self.outcome(request), expected, request[:200])


class NoCertificates(Asked):
    """A proxy that shows none; backends answer nobody."""

    certificate_from = "none"
    identifies = ["tool"]
    backend_keys = {"anonymous": "refuse", "anonymous_paths": ["/v{n}/healthz"]}

    async def test_nobody(self):
        """Everybody is anonymous, whatever the header says that is another's."""
        for uri, expected in (
            (JOBS, "401 no-evidence"),
            ("/jobs/v1/healthz", "allowed - -"),
        ):
            request = asking("nginx", escaped("tool-tf-test"), uri)
            self.assertEqual(await self.outcome(request), expected)


class Traefik(Asked):
    dialect = "traefik"

    async def test_body(self):
        """Its clients are told why in our own words; nginx and its clients get none."""
        client = await self.client(PROXY)
        client.send(asking("traefik", encoded("tool-other")))
        received = await client.until(b"}\n")
        self.assertIn(b"your certificate is for tool other", received)

    async def test_forms(self):
        """Its certificates come in base64 without their delimiters, in a row, escaped or not."""
        one = encoded("tool-tf-test")
        for shown in (
            one,
            quote(one, safe=""),
            f"{one},{encoded('k8s-ca')}",
            escaped("tool-tf-test"),
        ):
            request = asking("traefik", shown)
            self.assertEqual(await self.outcome(request), "allowed tf-test tf-test")
        other = asking("traefik", f"{encoded('tool-other')},{one}")
        self.assertEqual(await self.outcome(other), "403 foreign-tool")

    async def test_others_are_ignored(self):
        """nginx's words mean nothing to whoever speaks Traefik's."""
        request = asking(
            "traefik",
            encoded("tool-tf-test"),
            JOBS,
            "GET",
            "X-Original-URI: /x",
            "X-Original-URI: /y",
        )
        self.assertEqual(await self.outcome(request), "allowed tf-test tf-test")
        self.assertEqual(await self.outcome(asking("nginx")), "403 no-original-method")


class Envoy(Asked):
    dialect = "envoy"

    async def test_own_line(self):
        """It asks with its client's own method, below /auth."""
        for request, expected in (
            (
                asking("envoy", xfcc("tool-tf-test"), JOBS + "?a=b", "DELETE"),
                "allowed tf-test tf-test",
            ),
            (asking("envoy", xfcc("tool-other")), "403 foreign-tool"),
            (asking("envoy", "Hash=abc"), "403 bad-certificate-header"),
            (
                asking("envoy", xfcc("tool-tf-test") + "," + xfcc("tool-other")),
                "403 bad-certificate-header",
            ),
            (asking("envoy", 'Subject="CN=tf-test,O=toolforge"'), "allowed tf-test tf-test"),
            (
                asking("envoy", f'Hash=a;Chain="{escaped("tool-tf-test")}"'),
                "allowed tf-test tf-test",
            ),
            (asking("envoy", None), "allowed - -"),
            (asking("envoy", None, ""), "403 no-original-uri"),
            (asking("envoy", encoded("tool-tf-test")), "403 bad-certificate-header"),
            (
                asking("envoy", xfcc("tool-tf-test"), JOBS, "POST", "Content-Length: 0"),
                "allowed tf-test tf-test",
            ),
            (asking("envoy", xfcc("tool-other"), JOBS, "HEAD"), None),
        ):
            if expected is None:
                status, fields = await self.answer(request)
                self.assertEqual((status, fields["x-toolforge-reason"]), (403, "foreign-tool"))
            else:
                self.assertEqual(await self.outcome(request), expected, request[:200])

    async def test_cross_site(self):
        """Its own host is an origin of ours, and our certificate is not asked about it."""
        own = asking("envoy", xfcc("tool-tf-test"), JOBS, "POST", "Origin: https://gateway")
        self.assertEqual(await self.outcome(own), "allowed tf-test tf-test")
        foreign = asking("envoy", xfcc("tool-tf-test"), JOBS, "POST", "Origin: https://evil")
        self.assertEqual(await self.outcome(foreign), "403 cross-site")


class Tokens(Asked):
    """Authenticators that look at a request see the original one."""

    def authenticators(self):
        return [
            *super().authenticators(),
            {"kind": "deploy-token", "paths": ["POST /jobs/v1/tool/{tool}/deployment"]},
        ]

    async def test_token(self):
        """The token of the original query counts, where it is allowed."""
        token = "11111111-2222-3333-4444-555555555555"
        path = "/jobs/v1/tool/tf-test/deployment"
        for uri, method, expected in (
            (f"{path}?token={token}", "POST", "allowed - -"),
            (f"{path}?token={token}", "GET", "403 token-not-allowed-here"),
            (f"{path}?token=x", "POST", "403 bad-token"),
        ):
            self.assertEqual(await self.outcome(asking("nginx", None, uri, method)), expected)
        with_certificate = asking("nginx", escaped("tool-other"), f"{path}?token={token}", "POST")
        self.assertEqual(await self.outcome(with_certificate), "403 foreign-tool")


class Late(Asked, ScriptedStage):
    """An authenticator that takes its time, and looks at headers."""

    headers = ("x-key", "x-original-uri", "x-shown")

    async def test_waits(self):
        """It is asked about the original request, without the proxy's own headers."""
        client = await self.client(PROXY)
        client.send(asking("nginx", None, JOBS + "?a", "PUT", "X-Key: k", "X-Real-IP: 192.0.2.9"))
        evidence = (await self.asked()).evidence
        self.assertEqual(
            (evidence.method, evidence.path, evidence.query, evidence.backend),
            ("PUT", JOBS, "a", "jobs-api"),
        )
        self.assertEqual(
            (str(evidence.address), evidence.headers), ("192.0.2.9", (("x-key", "k"),))
        )
        self.questions[-1].answer.callback(TOOL)
        self.assertIn(b"\r\nX-Toolforge-Tool: tf-test\r\n", await client.until(b"\r\n\r\n"))

    async def test_refused(self):
        """A late no is a no."""
        client = await self.client(PROXY)
        client.send(asking("nginx"))
        (await self.asked()).answer.errback(BadEvidence(401, "stale", "ask for a new one"))
        received = await client.until(b"\r\n\r\n")
        self.assertTrue(received.startswith(b"HTTP/1.1 401 "), received)

    async def test_broken(self):
        """An authenticator that breaks lets nobody in."""
        client = await self.client(PROXY)
        client.send(asking("nginx"))
        (await self.asked()).answer.errback(ValueError("x"))
        received = await client.until(b"\r\n\r\n")
        self.assertTrue(received.startswith(b"HTTP/1.1 500 "), received)

    async def test_left(self):
        """A proxy that leaves is not waited for."""
        client = await self.client(PROXY)
        client.send(asking("nginx"))
        question = await self.asked()
        client.transport.abortConnection()
        await eventually(self.log)
        self.assertTrue(question.cancelled)


class LateConnection(Late):
    """The same for one that depends on the connection: the original's, as far as it is known."""

    depends_on = "connection"
    headers = ()

    def authenticators(self):
        return [*Stage.authenticators(self)[1:], *super().authenticators()]

    async def asked(self, count: int = 1):
        """The first question is about the proxy's own connection."""
        return await super().asked(count + 1)

    async def test_waits(self):
        """Nothing is said before it is known."""
        client = await self.client(PROXY)
        client.send(asking("nginx", None, JOBS, "PUT", "X-Real-IP: 192.0.2.9"))
        evidence = (await self.asked()).evidence
        self.assertEqual((str(evidence.address), evidence.path), ("192.0.2.9", ""))
        self.questions[-1].answer.callback(TOOL)
        self.assertIn(b"\r\nX-Toolforge-Tool: tf-test\r\n", await client.until(b"\r\n\r\n"))

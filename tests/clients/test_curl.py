"""The real curl against the gateway: what a person with a terminal sees."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import Clock

from tests.clients import programs
from tests.clients.stage import Stage, eventually, pki
from toolforge_gateway.demo.components import DEMO_TOKEN


class CurlTests(Stage):
    """`curl -i`, so that heads are seen as they are."""

    def curl(self, *arguments: str, identity: str | None = "tool-tf-test"):
        """Start curl with a certificate of the PKI; paths are below the gateway's URL."""
        command = [programs.program("curl"), "-sS", "-i", "--cacert", str(pki() / "server-ca.crt")]
        if identity:
            command += ["--cert", str(pki() / f"{identity}.crt")]
            command += ["--key", str(pki() / f"{identity}.key")]
        command += [self.url + each if each.startswith("/") else each for each in arguments]
        running = programs.start(reactor, command)
        self.addCleanup(running.end)
        return running

    @inlineCallbacks
    def test_status_lines_have_reason_phrases(self):
        """HTTP/1.1 with the usual phrases, even when curl would like HTTP/2."""
        for path, identity, line in [
            ("/healthz", None, "HTTP/1.1 200 OK"),
            ("/jobs/v1/tool/tf-test/jobs/", "tool-tf-test", "HTTP/1.1 200 OK"),
            ("/jobs/v1/tool/other/jobs/", "tool-tf-test", "HTTP/1.1 403 Forbidden"),
            ("/nowhere", None, "HTTP/1.1 404 Not Found"),
            ("/envvars/v1/tool/tf-test/envvars", None, "HTTP/1.1 401 Unauthorized"),
        ]:
            done = yield self.curl("--http2", path, identity=identity).ended
            self.assertEqual((path, done.said.splitlines()[0]), (path, line))

    @inlineCallbacks
    def test_healthz_says_ok(self):
        """The load balancer's question is answered with `ok` without a certificate."""
        done = yield self.curl("/healthz", identity=None).ended
        self.assertIn("ok", done.out.partition("\r\n\r\n")[2])

    @inlineCallbacks
    def test_a_certificate_of_a_stranger_is_refused_in_the_handshake(self):
        """A certificate from an authority of nobody's ends in a TLS alert."""
        done = yield self.curl("/healthz", identity="server").ended
        self.assertNotEqual(done.code, 0)
        self.assertEqual(done.out, "")

    @inlineCallbacks
    def test_deploy_token(self):
        """A token deploys without a certificate, is logged nowhere, and opens nothing else."""
        path = "/components/v1/tool/tf-test"
        deploy = f"{path}/deployment?token={DEMO_TOKEN}"
        done = yield self.curl("-X", "POST", deploy, identity=None).ended
        self.assertTrue(done.out.startswith("HTTP/1.1 200 OK"), done.said)
        wrong = f"{path}/deployment?token={DEMO_TOKEN[:-1]}0"
        done = yield self.curl("-X", "POST", wrong, identity=None).ended
        self.assertTrue(done.out.startswith("HTTP/1.1 401"), done.said)
        self.assertIn("does not match", done.out)
        done = yield self.curl(f"{path}/config?token={DEMO_TOKEN}", identity=None).ended
        self.assertTrue(done.out.startswith("HTTP/1.1 403 Forbidden"), done.said)
        self.assertIn("token-not-allowed-here", done.out)
        self.assertNotIn(DEMO_TOKEN[:-1], (self.folder / "access.log").read_text())

    @inlineCallbacks
    def test_superuser_and_admin(self):
        """A superuser acts for the path's tool; an administrator only where a path is opened."""
        path = "/builds/v1/tool/tf-test/builds"
        source = '{"source_url": "https://example.org/x.git"}'
        done = yield self.curl("-d", source, path, identity="service-components-api").ended
        self.assertTrue(done.out.startswith("HTTP/1.1 200 OK"), done.said)
        self.assertEqual(list(self.backends["builds"].builds), ["tf-test"])
        done = yield self.curl(path, identity="admin").ended
        self.assertTrue(done.out.startswith("HTTP/1.1 403 Forbidden"), done.said)

    @inlineCallbacks
    def test_location_leads_back_to_the_gateway(self):
        """A backend's redirect names the address that the client used, prefix and query kept."""
        path = "/components/v1/tool/tf-test/deployment"
        done = yield self.curl(f"{path}/?a=%41&b").ended
        location = [line for line in done.out.splitlines() if line.lower().startswith("location:")]
        self.assertEqual([line[9:].strip() for line in location], [f"{self.url}{path}?a=%41&b"])

    @inlineCallbacks
    def test_uploads_of_either_framing(self):
        """A body of known length and a chunked one reach the backend whole."""
        document = json.dumps({"name": "BIG", "value": "x" * 700_000})
        wanted = hashlib.sha256(b"x" * 700_000).hexdigest()
        file = Path(self.mktemp())
        file.write_text(document)
        path = "/envvars/v1/tool/tf-test/envvars"
        for framing in (["--data-binary", f"@{file}"], ["-X", "POST", "-T", str(file)]):
            if "-T" in framing:
                framing += ["-H", "Transfer-Encoding: chunked"]
            self.backends["envvars"].values.clear()
            done = yield self.curl(*framing, path).ended
            self.assertIn("HTTP/1.1 200 OK", done.out, done.err)
            value = self.backends["envvars"].values["tf-test"]["BIG"]
            self.assertEqual(hashlib.sha256(value.encode()).hexdigest(), wanted)

    @inlineCallbacks
    def test_head_has_the_length_and_no_body(self):
        """HEAD is answered like GET, without the body, and the connection goes on."""
        path = "/jobs/v1/healthz"
        done = yield self.curl("-I", path, "--next", "-sS", "-i", "-k", self.url + path).ended
        heads = [part for part in done.out.split("HTTP/1.1 ") if part]
        self.assertEqual(len(heads), 2, done.said)
        self.assertEqual(heads[0].partition("\r\n\r\n")[2], "")
        self.assertIn('"status"', heads[1])

    @inlineCallbacks
    def test_log_stream(self):
        """Every line arrives before the next one is made; leaving ends the backend's work."""
        logs = self.backends["logs"]
        logs.clock = Clock()
        running = self.curl("-N", "/logs/v1/tool/tf-test/job/x/logs_stream")
        yield eventually(lambda: logs.streams, within=30)
        logs.clock.advance(1)
        head = []
        while not head or head[-1].strip():
            head.append((yield running.line()))
        self.assertIn("x-accel-buffering: no", [line.strip().lower() for line in head])
        self.assertIn("line 1", (yield running.line()))
        for number in (2, 3):
            logs.clock.advance(1)
            self.assertIn(f"line {number}", (yield running.line()))
        running.signal("INT")
        yield running.ended
        yield eventually(lambda: not logs.streams, within=2)

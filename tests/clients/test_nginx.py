"""The real nginx as the sidecar of a backend: TLS 1.2 alone, client certificates required."""

from __future__ import annotations

from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock, deferLater
from twisted.web.server import Site

from tests.clients import programs
from tests.clients.stage import Stage, eventually, pki
from toolforge_gateway.demo.backends import SAMPLES
from toolforge_gateway.testing.ports import free_port

_CONFIGURATION = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_protocols TLSv1.2;
    ssl_certificate {pki}/backend.crt; ssl_certificate_key {pki}/backend.key;
    ssl_client_certificate {pki}/backend-ca.crt; ssl_verify_client on;
    client_max_body_size 1m; proxy_read_timeout 60s;
    add_header X-Sidecar "$ssl_protocol $ssl_client_verify $ssl_client_s_dn" always;
    location / {{ proxy_pass http://127.0.0.1:{behind}; proxy_set_header Host $http_host; }}
    location ~ /logs$ {{
      proxy_pass http://127.0.0.1:{behind}; proxy_read_timeout 600s; proxy_http_version 1.1;
    }}
  }}
}}
"""


@inlineCallbacks
def connectable(port: int):
    """Wait until a program that is starting accepts connections."""
    deadline = reactor.seconds() + 15
    while True:
        try:
            protocol = yield connectProtocol(
                TCP4ClientEndpoint(reactor, "127.0.0.1", port), Protocol()
            )
        except ConnectionRefusedError:
            if reactor.seconds() > deadline:
                raise
            yield deferLater(reactor, 0.02)
        else:
            protocol.transport.loseConnection()
            return


class NginxTests(Stage):
    """The jobs sample speaks plain HTTP, and nginx stands before it."""

    samples = ("envvars",)

    @inlineCallbacks
    def setUp(self):
        self.program = programs.program("nginx")
        self.sidecar = free_port()
        yield super().setUp()
        self.backends["jobs"] = jobs = SAMPLES["jobs"](reactor)
        behind = reactor.listenTCP(0, Site(jobs), interface="127.0.0.1")
        self.addCleanup(behind.stopListening)
        folder = Path(self.mktemp()).resolve()
        folder.mkdir(parents=True)
        (folder / "nginx.conf").write_text(
            _CONFIGURATION.format(
                folder=folder, pki=pki(), port=self.sidecar, behind=behind.getHost().port
            )
        )
        command = [self.program, "-p", str(folder), "-c", str(folder / "nginx.conf")]
        running = programs.start(reactor, command)
        self.addCleanup(running.end, "TERM")
        yield connectable(self.sidecar)

    def configuration(self) -> dict:
        document = super().configuration()
        for backend in document["backends"]:
            if backend["path"] == "/jobs":
                backend["url"] = f"https://127.0.0.1:{self.sidecar}"
        return document

    def curl(self, *arguments: str):
        """Start curl as the tool tf-test."""
        command = [programs.program("curl"), "-sS", "-i", "-N"]
        command += ["--cacert", str(pki() / "server-ca.crt")]
        command += ["--cert", str(pki() / "tool-tf-test.crt")]
        command += ["--key", str(pki() / "tool-tf-test.key")]
        command += [self.url + each if each.startswith("/") else each for each in arguments]
        running = programs.start(reactor, command)
        self.addCleanup(running.end)
        return running

    @inlineCallbacks
    def test_tls_1_2_and_the_gateways_certificate(self):
        """nginx saw TLS 1.2 and verified the gateway's certificate."""
        done = yield self.curl("/jobs/v1/tool/tf-test/jobs/").ended
        self.assertTrue(done.out.startswith("HTTP/1.1 200 OK"), done.said)
        self.assertIn("TLSv1.2 SUCCESS CN=api-gateway", done.out)

    @inlineCallbacks
    def test_job_from_the_command_line(self):
        """`toolforge-jobs` makes a job through gateway and sidecar."""
        command = ("run", "hello", "--command", "./hello.sh", "--image", "bookworm")
        done = yield self.toolforge("toolforge-jobs", *command).ended
        self.assertEqual(done.code, 0, done.said)
        self.assertEqual(list(self.backends["jobs"].jobs["tf-test"]), ["hello"])

    @inlineCallbacks
    def test_the_sidecars_own_refusal_passes(self):
        """More than a megabyte is nginx's 413, unchanged, and not an error of the gateway's."""
        big = Path(self.mktemp())
        big.write_bytes(b"x" * 1_200_000)
        done = yield self.curl("--data-binary", f"@{big}", "/jobs/v1/tool/tf-test/jobs/").ended
        head, _, body = done.out.rpartition("\r\n\r\n")
        self.assertIn("HTTP/1.1 413 ", head, done.said)
        self.assertIn("nginx", body)

    @inlineCallbacks
    def test_log_line_by_line_through_both(self):
        """Each line of a followed log is read before the next is made, head and first together."""
        jobs = self.backends["jobs"]
        command = ("run", "hello", "--command", "./hello.sh", "--image", "bookworm")
        yield self.toolforge("toolforge-jobs", *command).ended
        jobs.clock = Clock()
        running = self.curl("/jobs/v1/tool/tf-test/jobs/hello/logs?follow=true")
        yield eventually(lambda: jobs.streams, within=30)
        jobs.clock.advance(1)
        while (yield running.line()).strip():
            pass
        self.assertIn("line 1", (yield running.line()))
        for number in (2, 3):
            jobs.clock.advance(1)
            self.assertIn(f"line {number}", (yield running.line()))
        running.signal("INT")
        yield running.ended
        yield eventually(lambda: not jobs.streams, within=5)

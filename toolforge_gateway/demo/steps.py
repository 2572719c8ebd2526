"""What to try on the demonstration: each step is one curl line and its outcome.

A step is run as printed, by curl; where there is no curl, Python's own
`http.client` does the same.
"""

from __future__ import annotations

import http.client
import os
import shlex
import shutil
import ssl
import subprocess
from collections.abc import Iterable
from pathlib import Path

import attrs

from toolforge_gateway.demo.components import DEMO_TOKEN

PATIENCE = 15
"""Seconds that a step may take when it is run by `--check`."""
STREAM_SECONDS = 4
"""How long curl listens to a stream; a line comes each second."""
_CURL_TIMED_OUT = 28


@attrs.frozen
class Outcome:
    """What a step was answered."""

    status: int
    body: str


@attrs.frozen
class Step:
    """One request, and what its answer must be."""

    title: str
    path: str
    """With its query."""
    status: int
    contains: str
    """What the body must have in it."""
    certificate: str | None = None
    """Stem of the files in the folder of the PKI; None: anonymous."""
    method: str = "GET"
    data: str | None = None
    """A JSON body."""
    headers: tuple[str, ...] = ()
    """More header fields, `Name: value`."""
    lines: int | None = None
    """This many lines of an endless answer are enough; None: it ends by itself."""

    def problem(self, outcome: Outcome) -> str | None:
        """What is not as it must be, in words; None: nothing."""
        if outcome.status != self.status:
            return (
                f"wanted status {self.status}, got {outcome.status}: {outcome.body.strip()[:300]}"
            )
        if self.contains not in outcome.body:
            return f"wanted {self.contains!r} in the body: {outcome.body.strip()[:300]}"
        if self.lines is not None and outcome.body.count("\n") < self.lines:
            return f"wanted {self.lines} lines, got {outcome.body.count(chr(10))}"
        return None


STEPS = (
    Step("anyone: is the gateway well?", "/healthz", 200, "ok"),
    Step("anyone: is a backend well?", "/envvars/v1/healthz", 200, "OK"),
    Step(
        "the tool tf-test starts a job (or changes it)",
        "/jobs/v1/tool/tf-test/jobs/",
        200,
        "job_changed",
        certificate="tool-tf-test",
        method="PATCH",
        data='{"name": "hello", "cmd": "./hello.sh", "imagename": "bookworm"}',
    ),
    Step(
        "tf-test lists its jobs",
        "/jobs/v1/tool/tf-test/jobs/",
        200,
        '"name": "hello"',
        certificate="tool-tf-test",
    ),
    Step(
        "tf-test asks for the jobs of another tool: the gateway says no, and why",
        "/jobs/v1/tool/other/jobs/",
        403,
        '"reason"',
        certificate="tool-tf-test",
    ),
    Step(
        "nobody asks for jobs: the backend says no, in its own words",
        "/jobs/v1/tool/tf-test/jobs/",
        403,
        "missing 'x-toolforge-tool' header",
    ),
    Step(
        "tf-test asks who it is, until when, and what that opens",
        "/whoami",
        200,
        '"allowed": "own-tool"',
        certificate="tool-tf-test",
    ),
    Step(
        "a page of another site has tf-test's browser send something: no",
        "/jobs/v1/tool/tf-test/jobs/hello",
        403,
        '"cross-site"',
        certificate="tool-tf-test",
        method="DELETE",
        headers=("Sec-Fetch-Site: cross-site", "Origin: https://evil.example"),
    ),
    Step(
        "a proxy in front asks whether its client tf-test may (X-Toolforge-Tool says who it is)",
        "/auth",
        200,
        "",
        certificate="front-proxy",
        headers=(
            "X-Original-Method: GET",
            "X-Original-URI: /jobs/v1/tool/tf-test/jobs/",
            "X-Client-Certificate: CN=tf-test,O=toolforge",
        ),
    ),
    Step(
        "and whether it may see the jobs of another tool (X-Toolforge-Reason says why not)",
        "/auth",
        403,
        "",
        certificate="front-proxy",
        headers=(
            "X-Original-Method: GET",
            "X-Original-URI: /jobs/v1/tool/other/jobs/",
            "X-Client-Certificate: CN=tf-test,O=toolforge",
        ),
    ),
    Step(
        "tf-test sets an environment variable",
        "/envvars/v1/tool/tf-test/envvars",
        200,
        "GREETING",
        certificate="tool-tf-test",
        method="POST",
        data='{"name": "GREETING", "value": "hello"}',
    ),
    Step(
        "tf-test lists its builds",
        "/builds/v1/tool/tf-test/builds",
        200,
        '"builds"',
        certificate="tool-tf-test",
    ),
    Step(
        "tf-test follows a log: a line each second, as it comes",
        "/logs/v1/tool/tf-test/job/hello/logs_stream",
        200,
        '"message": "line 1"',
        certificate="tool-tf-test",
        lines=2,
    ),
    # By now the gateway has asked all APIs for their documents.
    Step(
        "anyone: what can be called here? One document for all APIs",
        "/openapi.json",
        200,
        '"/jobs/v1/tool/{toolname}/jobs/"',
    ),
    Step(
        "the same in YAML; who has it already is told so (304)",
        "/openapi.yaml",
        304,
        "",
        headers=("If-None-Match: *",),
    ),
    Step(
        "a CI job deploys tf-test with a deploy token, without a certificate",
        f"/components/v1/tool/tf-test/deployment?token={DEMO_TOKEN}",
        200,
        '"deploy_id"',
        method="POST",
    ),
    Step(
        "a deploy token is good for deployments alone",
        f"/components/v1/tool/tf-test/config?token={DEMO_TOKEN}",
        403,
        "token-not-allowed-here",
    ),
    Step(
        "a service that is superuser everywhere looks at tf-test's deployments",
        "/components/v1/tool/tf-test/deployment",
        200,
        '"deployments"',
        certificate="service-components-api",
    ),
    Step(
        "an administrator sees the metrics of a backend",
        "/jobs/v1/metrics",
        200,
        "jobs_streams",
        certificate="admin",
    ),
    Step(
        "but no tool's jobs, as long as admin_paths opens none",
        "/jobs/v1/tool/tf-test/jobs/",
        403,
        '"reason"',
        certificate="admin",
    ),
)


@attrs.frozen
class Runner:
    """Runs steps against one gateway.

    :param host: a name that its certificate has.
    :param port: its port on this machine.
    :param tls: the folder of the PKI.
    """

    host: str
    port: int
    tls: Path
    curl: str | None = attrs.field(factory=lambda: shutil.which("curl"))

    def line(self, step: Step) -> str:
        """The curl line to print."""
        return shlex.join(["curl", *self._arguments(step)])

    def run(self, step: Step) -> Outcome:
        """Run a step; blocks.

        :raise OSError, subprocess.SubprocessError, http.client.HTTPException:
            there was no answer.
        """
        return self._by_python(step) if self.curl is None else self._by_curl(self.curl, step)

    def _arguments(self, step: Step) -> Iterable[str]:
        yield from ("-sS", "-i", "--cacert", self._file("server-ca.crt"))
        if step.certificate:
            yield from ("--cert", self._file(f"{step.certificate}.crt"))
            yield from ("--key", self._file(f"{step.certificate}.key"))
        if step.lines is not None:
            yield from ("-N", "--max-time", str(STREAM_SECONDS))
        if step.method != "GET":
            yield from ("-X", step.method)
        for field in step.headers:
            yield from ("-H", field)
        if step.data is not None:
            yield from ("-H", "Content-Type: application/json", "-d", step.data)
        yield f"https://{self.host}:{self.port}{step.path}"

    def _file(self, name: str) -> str:
        return os.path.relpath(self.tls / name)

    def _by_curl(self, curl: str, step: Step) -> Outcome:
        done = subprocess.run(
            [curl, *self._arguments(step)],
            capture_output=True,
            check=False,
            timeout=PATIENCE,
            # A proxy of the environment is no part of what is tried here.
            env={**os.environ, "no_proxy": "*", "NO_PROXY": "*"},
        )
        fine = (0, _CURL_TIMED_OUT) if step.lines is not None else (0,)
        if done.returncode not in fine:
            raise subprocess.SubprocessError(
                f"curl ended with {done.returncode}: {done.stderr.decode(errors='replace').strip()}"
            )
        head, _, body = done.stdout.decode(errors="replace").partition("\r\n\r\n")
        return Outcome(int(head.split()[1]), body)

    def _by_python(self, step: Step) -> Outcome:
        context = ssl.create_default_context(cafile=self._file("server-ca.crt"))
        if step.certificate:
            context.load_cert_chain(
                self._file(f"{step.certificate}.crt"), self._file(f"{step.certificate}.key")
            )
        connection = http.client.HTTPSConnection(
            self.host, self.port, context=context, timeout=PATIENCE
        )
        try:
            headers = {"Content-Type": "application/json"} if step.data is not None else {}
            headers |= dict(field.split(": ", 1) for field in step.headers)
            connection.request(step.method, step.path, step.data, headers)
            answer = connection.getresponse()
            if step.lines is None:
                body = answer.read()
            else:
                body = b"".join(answer.readline() for _ in range(step.lines))
            return Outcome(answer.status, body.decode(errors="replace"))
        finally:
            connection.close()

"""What real generators make of the document of all APIs."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.trial.unittest import SkipTest

from tests.clients import programs
from tests.clients.stage import Stage, pki

CLIENT = '''
"""Calls four APIs by a client that was generated from their one document."""
import ssl, sys

from toolforge_client import Client
from toolforge_client.api.builds_builds import builds_list, builds_start
from toolforge_client.api.components_deployment import components_create
from toolforge_client.api.envvars_envvars import envvars_create, envvars_get, envvars_list
from toolforge_client.api.jobs_jobs import (
    jobs_create_job_v1_tool_toolname_jobs_post as create_job,
    jobs_list_jobs_v1_tool_toolname_jobs_get as list_jobs,
)
from toolforge_client.models import (
    BuildsBuildParameters, EnvvarsEnvvar, EnvvarsError, JobsDefinedOneOffJob, JobsNewOneOffJob,
    JobsNewOneOffJobImagename,
)

url, tls = sys.argv[1:]
context = ssl.create_default_context(cafile=f"{tls}/server-ca.crt")
nobody = Client(base_url=url, verify_ssl=context)
own = ssl.create_default_context(cafile=f"{tls}/server-ca.crt")
own.load_cert_chain(f"{tls}/tool-tf-test.crt", f"{tls}/tool-tf-test.key")
client = Client(base_url=url, verify_ssl=own)

envvars_create.sync("tf-test", client=client, body=EnvvarsEnvvar("GREETING", "hello"))
print([each.value for each in envvars_list.sync("tf-test", client=client).envvars])

new = JobsNewOneOffJob(
    job_type="one-off", name="hello", cmd="./hello", imagename=JobsNewOneOffJobImagename.BOOKWORM
)
job = create_job.sync("tf-test", client=client, body=new).job
print(isinstance(job, JobsDefinedOneOffJob), job.name, job.status.short)
print([each.name for each in list_jobs.sync("tf-test", client=client).jobs])

parameters = BuildsBuildParameters(source_url="https://example.org/x")
print(builds_start.sync("tf-test", client=client, body=parameters).new_build.parameters.source_url)
print([each.status.value for each in builds_list.sync("tf-test", client=client).builds])
print(components_create.sync("tf-test", client=client).data.status.value)

missing = envvars_get.sync_detailed("tf-test", "NOWHERE", client=client)
print(missing.status_code.value, isinstance(missing.parsed, EnvvarsError))
foreign = envvars_list.sync_detailed("other", client=client)
print(foreign.status_code.value, isinstance(foreign.parsed, EnvvarsError))
anybody = list_jobs.sync_detailed("tf-test", client=nobody)
print(anybody.status_code.value, anybody.parsed.error)
'''

SAID = """\
['hello']
True hello running
['hello']
https://example.org/x
['BUILD_SUCCESS']
successful
404 True
403 True
403 ["missing 'x-toolforge-tool' header"]
"""

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
ENDLESS = r"jobs/\{job\}/logs$|builds/\{build\}/logs$|logs_stream$"
"""Operations whose answers may never end, which no check would wait for."""


def generator(name: str) -> str:
    """Where a program is that makes something of an OpenAPI document.

    :raise SkipTest: it is not there; says how to get it.
    """
    folder = os.environ.get("TOOLFORGE_GENERATORS_BIN")
    if folder is None or not (Path(folder) / name).exists():
        raise SkipTest(
            f"no {name}: `./run test` installs it; or set TOOLFORGE_GENERATORS_BIN to the bin "
            "folder of an environment that has requirements/generators.txt"
        )
    return str(Path(folder) / name)


class GeneratorTests(Stage):
    """The shipped configuration and all five sample backends."""

    timeout = 180

    @inlineCallbacks
    def document(self):
        """Wait for the document, and write it to a file as clients get it."""
        path = self.folder / "openapi.json"
        curl = [programs.program("curl"), "-sS", "--fail", "--cacert", str(pki() / "server-ca.crt")]

        @inlineCallbacks
        def there():
            done = yield programs.run(reactor, [*curl, "-o", str(path), f"{self.url}/openapi.json"])
            return done.code == 0

        for _ in range(100):
            if (yield there()):
                return path
        raise AssertionError("there is no document")

    @inlineCallbacks
    def test_client(self):
        """openapi-python-client makes a client without a word of complaint, whose classes are
        called as the API's users know them; and it works, with a tool's certificate."""
        path = yield self.document()
        package = self.folder / "toolforge_client"
        made = yield programs.run(
            reactor,
            [
                generator("openapi-python-client"),
                "generate",
                *("--path", str(path), "--output-path", str(package), "--meta", "none"),
                "--fail-on-warning",
            ],
            {"PATH": f"{Path(generator('ruff')).parent}:{os.environ['PATH']}"},
        )
        self.assertEqual(made.code, 0, made.said)
        self.assertNotIn("arning", made.said)
        script = self.folder / "use.py"
        script.write_text(CLIENT)
        done = yield programs.run(
            reactor,
            [generator("python"), str(script.resolve()), self.url, str(pki())],
            {"PYTHONPATH": str(self.folder.resolve())},
        )
        self.assertEqual(done.out, SAID, done.said)
        # And through the gateway it went, by name.
        self.assertIn("tf-test", {each["identity"] for each in self.access_log()})

    @inlineCallbacks
    def test_schemathesis(self):
        """Hundreds of generated requests, good ones and bad ones, never make a fault of a server,
        and every answer, the gateway's own refusals too, is as the document says."""
        yield self.document()
        (self.folder / "schemathesis.toml").write_text(
            '[parameters]\n"path.toolname" = "tf-test"\n'
        )
        running = programs.start(
            reactor,
            [
                generator("schemathesis"),
                *("--config-file", "schemathesis.toml", "run", f"{self.url}/openapi.json"),
                *("--tls-verify", str(pki() / "server-ca.crt")),
                *("--request-cert", str(pki() / "tool-tf-test.crt")),
                *("--request-cert-key", str(pki() / "tool-tf-test.key")),
                *("--checks", ",".join(CHECKS), "--exclude-path-regex", ENDLESS),
                *("--max-examples", "10", "--request-timeout", "10", "--continue-on-failure"),
                *("--generation-deterministic", "--no-color"),
            ],
            directory=str(self.folder.resolve()),
        )
        self.addCleanup(running.end)
        done = yield running.ended
        self.assertEqual(done.code, 0, done.said[-8000:])
        answers = [each for each in self.access_log() if each["path"] != "/openapi.json"]
        self.assertGreater(len(answers), 500)
        self.assertEqual([each for each in answers if each["status"] >= 500], [])
        worked = {each["backend"] for each in answers if each["status"] in (200, 201)}
        self.assertLessEqual({f"{name}-api" for name in self.samples}, worked)
        refused = {each["status"] for each in answers if not each["backend"]}
        self.assertIn(400, refused)

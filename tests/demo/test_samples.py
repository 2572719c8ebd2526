"""The sample backends, in memory: bytes in, bytes out, a clock by hand."""

from __future__ import annotations

import json

import yaml
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

from toolforge_gateway.demo.backends import SAMPLES
from toolforge_gateway.demo.builds import Builds
from toolforge_gateway.demo.components import DEMO_TOKEN, Components
from toolforge_gateway.demo.envvars import Envvars
from toolforge_gateway.demo.jobs import Jobs
from toolforge_gateway.demo.logs import Logs
from toolforge_gateway.demo.sample import SampleAPI

NOW = 1_790_000_000.0
JOB = b'{"name": "a", "cmd": "./a", "imagename": "bookworm"}'


class Connection:
    """One client connection to a sample."""

    def __init__(self, sample: SampleAPI):
        self.transport = StringTransport()
        self.protocol = Site(sample, reactor=sample.clock).buildProtocol(None)
        self.protocol.makeConnection(self.transport)

    def send(self, request: str, body: bytes = b"", tools: tuple[str, ...] = ("a",)) -> bytes:
        """Send a request and return all that came so far."""
        head = f"{request} HTTP/1.1\r\nHost: here:1\r\nContent-Length: {len(body)}\r\n"
        head += "".join(f"X-Toolforge-Tool: {tool}\r\n" for tool in tools)
        self.protocol.dataReceived(head.encode() + b"\r\n" + body)
        return self.received()

    def received(self) -> bytes:
        """What came since the last look."""
        value = self.transport.value()
        self.transport.clear()
        return value

    def leave(self) -> None:
        """The client goes away."""
        self.protocol.connectionLost(Failure(ConnectionDone()))


def ask(
    sample: SampleAPI, request: str, body: bytes = b"", tools: tuple[str, ...] = ("a",)
) -> tuple[int, dict]:
    """One request on a connection of its own: status and JSON body."""
    head, _, answer = Connection(sample).send(request, body, tools).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(answer)


def clock() -> Clock:
    """A clock at a known time."""
    made = Clock()
    made.advance(NOW)
    return made


class EverySample(SynchronousTestCase):
    """What all samples must do."""

    def test_open_paths_need_no_identity(self) -> None:
        """The document, health and metrics answer 200 to anybody."""
        for kind in SAMPLES.values():
            for path in ("/openapi.json", "/v1/healthz", "/v1/metrics"):
                answer = Connection(kind(clock())).send(f"GET {path}", tools=())
                self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"), (kind.name, answer))

    def test_identity_is_required_in_its_own_words(self) -> None:
        """A tool's path without the header is 401 or 403 with a sentence that names it."""
        paths = {
            "jobs": ("jobs/", 403, "x-toolforge-tool"),
            "builds": ("builds", 401, "authentication header"),
            "envvars": ("envvars", 401, "x-toolforge-tool"),
            "components": ("config", 401, "x-toolforge-tool"),
            "logs": ("job/x/logs", 403, "x-toolforge-tool"),
        }
        for name, (path, status, word) in paths.items():
            found, body = ask(SAMPLES[name](clock()), f"GET /v1/tool/a/{path}", tools=())
            self.assertEqual((found, name), (status, name))
            self.assertIn(word, json.dumps(body))

    def test_errors_have_the_shape_their_client_reads(self) -> None:
        """components says `messages.error`, the others a top-level list `error`."""
        for name, kind in SAMPLES.items():
            status, body = ask(kind(clock()), "GET /v1/tool/a/nonsense")
            self.assertEqual(status, 404)
            errors = body["messages"]["error"] if name == "components" else body["error"]
            self.assertEqual(errors, ["Not Found"])

    def test_documents_list_the_calls(self) -> None:
        """Each document has each call of its API, and no other; they are of both generations, and
        one is YAML."""
        versions = set()
        for kind in SAMPLES.values():
            sample = kind(clock())
            head, _, body = (
                Connection(sample).send("GET /openapi.json", tools=()).partition(b"\r\n\r\n")
            )
            self.assertIn(kind.document_kind.encode(), head)
            document = yaml.safe_load(body) if b"yaml" in head else json.loads(body)
            versions.add(document["openapi"][:3])
            listed = {
                (method.upper(), path)
                for path, item in document["paths"].items()
                for method in item
                if method != "parameters"
            }
            calls = {(each.method, each.template.text) for each in sample._endpoints}
            inner = {("GET", "/openapi.json"), ("GET", "/v1/metrics")}
            self.assertEqual(listed, calls - inner, kind.name)
        self.assertEqual(versions, {"3.0", "3.1"})

    def test_documents_collide(self) -> None:
        """All of them use the same names for operations, schemas and the security scheme."""
        operations, schemas, schemes = [], [], []
        for kind in SAMPLES.values():
            document = yaml.safe_load(kind(clock())._document)
            operations.append(
                {
                    each["operationId"]
                    for item in document["paths"].values()
                    for each in item.values()
                    if isinstance(each, dict)
                }
            )
            schemas.append(set(document["components"]["schemas"]))
            schemes.append(set(document["components"]["securitySchemes"]))
        self.assertIn("healthz", set.intersection(*operations))
        self.assertIn("ResponseMessages", set.intersection(*schemas))
        self.assertEqual(set.intersection(*schemes), {"key"})

    def test_a_path_is_decoded_before_it_is_routed(self) -> None:
        """`%74ool` reaches the tool, as it does at the real backends."""
        status, body = ask(Jobs(clock()), "GET /v1/%74ool/victim/jobs/")
        self.assertEqual((status, body["jobs"]), (200, []))

    def test_a_wrong_slash_is_redirected_to_the_host_it_was_called_by(self) -> None:
        """FastAPI's 307 names the Host, no prefix, and repeats the query."""
        answer = Connection(Components(clock())).send(
            "POST /v1/tool/a/deployment/?token=x", tools=()
        )
        self.assertIn(b"HTTP/1.1 307 ", answer)
        self.assertIn(b"\r\nLocation: http://here:1/v1/tool/a/deployment?token=x\r\n", answer)
        answer = Connection(Jobs(clock())).send("GET /v1/tool/a/jobs")
        self.assertIn(b"\r\nLocation: http://here:1/v1/tool/a/jobs/\r\n", answer)

    def test_echo_backends_do_not_redirect(self) -> None:
        """builds and envvars answer a wrong slash with 404."""
        self.assertEqual(ask(Builds(clock()), "GET /v1/tool/a/builds/")[0], 404)
        self.assertEqual(ask(Envvars(clock()), "GET /v1/tool/a/envvars/")[0], 404)

    def test_a_wrong_method_is_405(self) -> None:
        """A path that is known, but not with this method, says so."""
        self.assertEqual(ask(Envvars(clock()), "DELETE /v1/tool/a/envvars")[0], 405)


class JobsTests(SynchronousTestCase):
    """The jobs sample."""

    def test_create_list_show_delete(self) -> None:
        """A job is in the list of its tool, and of no other, until it is deleted."""
        jobs = Jobs(clock())
        self.assertEqual(ask(jobs, "POST /v1/tool/a/jobs/", JOB)[0], 201)
        self.assertEqual([j["name"] for j in ask(jobs, "GET /v1/tool/a/jobs/")[1]["jobs"]], ["a"])
        self.assertEqual(ask(jobs, "GET /v1/tool/b/jobs/")[1]["jobs"], [])
        self.assertEqual(ask(jobs, "GET /v1/tool/a/jobs/a")[1]["job"]["cmd"], "./a")
        self.assertEqual(ask(jobs, "DELETE /v1/tool/a/jobs/a")[0], 200)
        self.assertEqual(ask(jobs, "GET /v1/tool/a/jobs/a")[0], 404)

    def test_mistakes_are_named(self) -> None:
        """A second job of one name, an unknown image, a bad name and bad JSON are refused."""
        jobs = Jobs(clock())
        ask(jobs, "POST /v1/tool/a/jobs/", JOB)
        for body, status, word in [
            (JOB, 409, "exists already"),
            (JOB.replace(b"bookworm", b"windows"), 400, "windows"),
            (JOB.replace(b'"a"', b'"A_"'), 400, "A_"),
            (b"{", 400, "Invalid JSON"),
            (b'{"name": "x"}', 400, "'cmd'"),
        ]:
            found, answer = ask(jobs, "POST /v1/tool/a/jobs/", body)
            self.assertEqual(found, status)
            self.assertIn(word, answer["error"][0])


class BuildsTests(SynchronousTestCase):
    """The builds sample."""

    def test_the_header_alone_names_the_tool(self) -> None:
        """The path's tool counts for nothing, and two headers are refused."""
        builds = Builds(clock())
        source = b'{"source_url": "https://example.org/x.git"}'
        made = ask(builds, "POST /v1/tool/a/builds", source)[1]["new_build"]["name"]
        self.assertTrue(made.startswith("a-"))
        self.assertEqual(len(ask(builds, "GET /v1/tool/b/builds")[1]["builds"]), 1)
        status, body = ask(builds, "GET /v1/tool/a/builds", tools=("a", "b"))
        self.assertEqual((status, "unexpected value" in body["error"][0]), (401, True))

    def test_delete_gives_the_id(self) -> None:
        """The command line counts the ids it gets back."""
        builds = Builds(clock())
        source = b'{"source_url": "https://example.org/x.git"}'
        made = ask(builds, "POST /v1/tool/a/builds", source)[1]["new_build"]["name"]
        self.assertEqual(ask(builds, f"DELETE /v1/tool/a/builds/{made}")[1]["id"], made)
        self.assertEqual(ask(builds, f"GET /v1/tool/a/builds/{made}")[0], 404)


class EnvvarsTests(SynchronousTestCase):
    """The envvars sample."""

    def test_create_list_delete(self) -> None:
        """A variable is listed until it is deleted; a bad name is refused."""
        envvars = Envvars(clock())
        value = b'{"name": "GREETING", "value": "hello"}'
        self.assertEqual(ask(envvars, "POST /v1/tool/a/envvars", value)[0], 200)
        listed = ask(envvars, "GET /v1/tool/a/envvars")[1]["envvars"]
        self.assertEqual(listed, [{"name": "GREETING", "value": "hello"}])
        self.assertEqual(ask(envvars, "DELETE /v1/tool/a/envvars/GREETING")[0], 200)
        self.assertEqual(ask(envvars, "GET /v1/tool/a/envvars")[1]["envvars"], [])
        status, body = ask(envvars, "POST /v1/tool/a/envvars", value.replace(b"GREETING", b"x"))
        self.assertEqual((status, "'x'" in body["error"][0]), (400, True))


class ComponentsTests(SynchronousTestCase):
    """The components sample."""

    def test_a_token_deploys_and_reads_its_deployment(self) -> None:
        """The tool's token will do for creating and for reading by id, not for the list."""
        components = Components(clock())
        base = "/v1/tool/tf-test/deployment"
        token = f"token={DEMO_TOKEN}"
        status, made = ask(components, f"POST {base}?{token}", tools=())
        self.assertEqual(status, 200)
        deploy_id = made["data"]["deploy_id"]
        self.assertRegex(deploy_id, r"^[0-9]{8}-[0-9]{6}-[a-z0-9]+$")
        self.assertEqual(ask(components, f"GET {base}/{deploy_id}?{token}", tools=())[0], 200)
        self.assertEqual(ask(components, f"GET {base}?{token}", tools=())[0], 401)

    def test_a_wrong_token_is_401_in_its_own_words(self) -> None:
        """Another tool's token, none, and an unknown one are refused."""
        components = Components(clock())
        for query, word in [
            (f"?token={DEMO_TOKEN[:-1]}0", "does not match"),
            ("", "header or a token are required"),
            (f"?token={DEMO_TOKEN}&token=x", "does not match"),
        ]:
            status, body = ask(components, f"POST /v1/tool/tf-test/deployment{query}", tools=())
            self.assertEqual(status, 401)
            self.assertIn(word, body["messages"]["error"][0])

    def test_the_header_makes_it_skip_the_token(self) -> None:
        """With identity a bad token does no harm: so no gateway may add one lightly."""
        status, _ = ask(Components(clock()), "POST /v1/tool/tf-test/deployment?token=bad")
        self.assertEqual(status, 200)

    def test_config_and_token_life(self) -> None:
        """Configuration and token are made, shown and deleted; a second token is 409."""
        components = Components(clock())
        base = "/v1/tool/a"
        config = b'{"components": {"web": {}}}'
        self.assertEqual(ask(components, f"GET {base}/config")[0], 404)
        self.assertEqual(ask(components, f"POST {base}/config", config)[0], 200)
        self.assertIn("web", ask(components, f"GET {base}/config")[1]["data"]["components"])
        self.assertEqual(ask(components, f"DELETE {base}/config")[0], 200)
        self.assertEqual(ask(components, f"POST {base}/deployment/token")[0], 200)
        self.assertEqual(ask(components, f"POST {base}/deployment/token")[0], 409)
        self.assertEqual(ask(components, f"DELETE {base}/deployment/token")[0], 200)
        self.assertEqual(ask(components, f"GET {base}/deployment/token")[0], 404)


class StreamTests(SynchronousTestCase):
    """Logs that are followed."""

    def test_a_line_a_second_in_chunks_until_the_client_leaves(self) -> None:
        """Head and first line at once, then one chunk a second; afterwards nothing runs on."""
        time = clock()
        logs = Logs(time)
        connection = Connection(logs)
        answer = connection.send("GET /v1/tool/a/job/x/logs_stream")
        time.advance(0)
        head, _, chunk = (answer + connection.received()).partition(b"\r\n\r\n")
        self.assertIn(b"Transfer-Encoding: chunked", head)
        self.assertIn(b"X-Accel-Buffering: no", head)
        self.assertIn(b"Content-Type: text/plain", head)
        self.assertEqual(json.loads(chunk.split(b"\r\n")[1])["message"], "line 1")
        time.advance(0.5)
        self.assertEqual(connection.received(), b"")
        time.advance(0.5)
        self.assertEqual(connection.received().count(b"line 2"), 1)
        self.assertEqual(len(logs.streams), 1)
        connection.leave()
        self.assertEqual(logs.streams, set())
        self.assertEqual(
            [call for call in time.getDelayedCalls() if "LoopingCall" in str(call.func)], []
        )

    def test_jobs_send_no_head_before_the_first_line(self) -> None:
        """A followed job log comes all at once with its first line, builds' head before it."""
        time = clock()
        jobs = Jobs(time)
        ask(jobs, "POST /v1/tool/a/jobs/", JOB)
        waiting = Connection(jobs)
        self.assertEqual(waiting.send("GET /v1/tool/a/jobs/a/logs?follow=true"), b"")
        builds = Builds(time)
        source = b'{"source_url": "https://example.org/x.git"}'
        made = ask(builds, "POST /v1/tool/a/builds", source)[1]["new_build"]["name"]
        early = Connection(builds).send(f"GET /v1/tool/a/builds/{made}/logs?follow=True")
        self.assertTrue(early.startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertTrue(early.endswith(b"\r\n\r\n"))

    def test_leaving_before_the_first_line(self) -> None:
        """A client that leaves a silent stream leaves nothing behind."""
        time = clock()
        jobs = Jobs(time)
        ask(jobs, "POST /v1/tool/a/jobs/", JOB)
        waiting = Connection(jobs)
        waiting.send("GET /v1/tool/a/jobs/a/logs?follow=true")
        waiting.leave()
        time.advance(10)
        self.assertEqual((jobs.streams, waiting.received()), (set(), b""))

    def test_a_finite_log_ends(self) -> None:
        """Without `follow` the lines come at once and the chunked body has its end."""
        time = clock()
        jobs = Jobs(time)
        ask(jobs, "POST /v1/tool/a/jobs/", JOB)
        connection = Connection(jobs)
        connection.send("GET /v1/tool/a/jobs/a/logs?follow=false")
        for _ in range(5):
            time.advance(0)
        answer = connection.received()
        self.assertEqual(answer.count(b'"message"'), 3)
        self.assertTrue(answer.endswith(b"0\r\n\r\n"))

    def test_pages_newest_first(self) -> None:
        """A client that follows `next` gets every entry once, in order."""
        logs = Logs(clock())
        url, seen = "?direction=newest_first", []
        while url:
            _, body = ask(logs, f"GET /v1/tool/a/job/x/logs{url}")
            seen += [entry["message"] for entry in body["data"]["logs"]]
            url = body["data"].get("next", {}).get("url")
        self.assertEqual(seen, [f"line {number}" for number in (5, 4, 3, 2, 1)])

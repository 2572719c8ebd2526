"""The real client library toolforge-weld, called as its users call it."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks

from tests.clients import programs
from tests.clients.stage import Stage, kubeconfig

_SCRIPT = """
import json, sys
from pathlib import Path
import requests
from toolforge_weld.api_client import ToolforgeClient
from toolforge_weld.kubernetes_config import Kubeconfig

server, path = sys.argv[1:3]
client = ToolforgeClient(
    server=server, kubeconfig=Kubeconfig.load(Path(path)), user_agent="test"
)

def status(call, *arguments, **keywords):
    try:
        return call(*arguments, **keywords)
    except requests.exceptions.HTTPError as error:
        return [error.response.status_code, error.response.reason, error.response.json()]

"""


class WeldTests(Stage):
    """`ToolforgeClient` in a process of its own; it prints JSON."""

    @inlineCallbacks
    def weld(self, code: str, path: str):
        """Run code with a `client` for a path of the gateway; gives what it printed."""
        config = Path(self.mktemp()).resolve()
        config.write_text(yaml.safe_dump(kubeconfig("tf-test")))
        command = [programs.client("python"), "-c", _SCRIPT + code, self.url + path, str(config)]
        done = yield programs.run(reactor, command)
        self.assertEqual(done.code, 0, done.said)
        return json.loads(done.out)

    @inlineCallbacks
    def test_get_404_then_post(self):
        """A backend's 404 arrives as 404, so that a client may go on and create."""
        before, made, after = yield self.weld(
            'name = "/envvars/GREETING"\n'
            "found = [status(client.get, name)]\n"
            'found += [client.post("/envvars", json={"name": "GREETING", "value": "hello"})]\n'
            "found += [client.get(name)]\n"
            "print(json.dumps(found))",
            "/envvars/v1/tool/tf-test",
        )
        self.assertEqual(before[:2], [404, "Not Found"])
        self.assertEqual(before[2]["error"], ["Envvar 'GREETING' does not exist"])
        self.assertEqual(made["envvar"], after["envvar"])

    @inlineCallbacks
    def test_a_session_is_kept(self):
        """Many calls of one session come over one connection, and each gets its own answer."""
        found = yield self.weld(
            "for n in range(20):\n"
            '    client.post("/envvars", json={"name": "NUMBER", "value": str(n)})\n'
            '    assert client.get("/envvars/NUMBER")["envvar"]["value"] == str(n), n\n'
            "pools = client.session.adapters['https://'].poolmanager.pools\n"
            "print(json.dumps([pools[key].num_connections for key in pools.keys()]))",
            "/envvars/v1/tool/tf-test",
        )
        self.assertEqual(found, [1])

    @inlineCallbacks
    def test_redirect_comes_back_through_the_gateway(self):
        """The components API's 307 leads to the gateway again, with method, body and query."""
        found = yield self.weld(
            'force = {"force-run": "true"}\n'
            'answer = client.post("/deployment/", params=force, display_messages=False)\n'
            "print(json.dumps(answer))",
            "/components/v1/tool/tf-test",
        )
        self.assertTrue(found["data"]["force_run"])
        self.assertEqual([entry["status"] for entry in self.access_log()], [307, 200])

    @inlineCallbacks
    def test_foreign_tool(self):
        """A refusal of the gateway carries both error shapes, a reason word and a request id."""
        status, phrase, body = yield self.weld(
            'print(json.dumps(status(client.get, "/envvars")))', "/envvars/v1/tool/other"
        )
        self.assertEqual((status, phrase), (403, "Forbidden"))
        self.assertEqual(body["error"], body["messages"]["error"])
        self.assertEqual(len(body["error"]), 1)
        self.assertEqual((body["messages"]["info"], body["messages"]["warning"]), ([], []))
        self.assertRegex(body["reason"], r"^[a-z]+(-[a-z]+)*$")
        self.assertTrue(body["request_id"])

    @inlineCallbacks
    def test_raw_lines(self):
        """`get_raw_lines` yields the lines of a log and can stop in the middle of it."""
        lines = yield self.weld(
            'lines = client.get_raw_lines("/job/x/logs_stream", timeout=None)\n'
            "print(json.dumps([json.loads(next(lines))['message'] for _ in range(2)]))",
            "/logs/v1/tool/tf-test",
        )
        self.assertEqual(lines, ["line 1", "line 2"])

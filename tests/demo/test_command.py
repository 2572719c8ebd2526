"""`toolforge-gateway demo` as a person runs it: a process, a folder, a terminal."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import yaml
from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.trial.unittest import TestCase

from tests.clients import programs
from tests.clients.stage import ROOT
from toolforge_gateway.demo.steps import STEPS, Outcome, Step
from toolforge_gateway.testing.ports import free_port


class DemoTests(TestCase):
    """In a folder of its own, with the shipped configuration on free ports."""

    timeout = 120

    def setUp(self):
        self.folder = Path(self.mktemp()).resolve()
        (self.folder / "etc").mkdir(parents=True)
        document = yaml.safe_load((ROOT / "etc" / "gateway.yaml").read_text())
        self.port = free_port()
        document["listen"][0]["endpoint"] = f"tcp:{self.port}:interface=127.0.0.1"
        document["operations"]["endpoint"] = f"tcp:{free_port()}:interface=127.0.0.1"
        for backend in document["backends"]:
            backend["url"] = f"https://127.0.0.1:{free_port()}"
        self.write(document)
        self.document = document

    def write(self, document: dict) -> None:
        (self.folder / "etc" / "gateway.yaml").write_text(yaml.safe_dump(document))

    def demo(self, *words: str, path: str | None = None) -> programs.Running:
        """Start the command in the folder.

        :param path: PATH, where it matters which programs there are.
        """
        code = (
            "import sys; from toolforge_gateway.cli.main import main; sys.exit(main(sys.argv[1:]))"
        )
        environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        if path is not None:
            environment["PATH"] = path
        command = [sys.executable, "-c", code, "demo", *words]
        running = programs.start(reactor, command, environment, str(self.folder))
        self.addCleanup(running.end)
        return running

    @inlineCallbacks
    def test_prepare(self):
        """`--prepare` writes the keys that the configuration names, and nothing runs."""
        done = yield self.demo("--prepare").ended
        self.assertEqual(done.code, 0, done.said)
        for section in (self.document["listen"][0]["tls"], self.document["upstream_tls"]):
            for key in ("certificate", "private_key"):
                self.assertTrue((self.folder / "etc" / section[key]).exists(), section[key])

    @inlineCallbacks
    def test_backends(self):
        """`--backends` serves the sample backends alone, beside a gateway that runs already."""
        with socket.create_server(("127.0.0.1", self.port)):
            running = self.demo("--backends")
            line = yield running.line()
        self.assertIn("Sample backends listen: /jobs at 127.0.0.1:", line)
        for backend in self.document["backends"]:
            port = int(backend["url"].rpartition(":")[2])
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        running.signal("INT")
        done = yield running.ended
        self.assertEqual((done.code, "Traceback" in done.said), (0, False), done.said)

    @inlineCallbacks
    def test_check_by_curl(self):
        """`--check` tries every line by curl, says so, and exits 0."""
        programs.program("curl")
        done = yield self.demo("--check").ended
        self.assertEqual(done.code, 0, done.said)
        self.assertIn("by curl", done.out)
        self.assertIn(f"{len(STEPS)} passed, 0 failed", done.out)

    @inlineCallbacks
    def test_check_without_curl(self):
        """Where there is no curl, Python does the same."""
        empty = self.folder / "empty"
        empty.mkdir()
        done = yield self.demo("--check", path=str(empty)).ended
        self.assertEqual(done.code, 0, done.said)
        self.assertIn("by Python", done.out)
        self.assertIn(f"{len(STEPS)} passed, 0 failed", done.out)

    @inlineCallbacks
    def test_a_failed_step_is_told(self):
        """With a route missing `--check` names the step, shows its line, and exits 1."""
        self.document["backends"] = [
            each for each in self.document["backends"] if each["path"] != "/builds"
        ]
        self.write(self.document)
        done = yield self.demo("--check").ended
        self.assertEqual(done.code, 1, done.said)
        self.assertIn("FAILED tf-test lists its builds", done.out)
        self.assertIn("wanted status 200, got 404", done.out)
        self.assertIn(f"{len(STEPS) - 1} passed, 1 failed", done.out)

    @inlineCallbacks
    def test_lines_work_as_they_stand(self):
        """Every printed line, given to a shell in that folder, gets its answer; Ctrl-C ends it."""
        programs.program("curl")
        running = self.demo()
        lines = []
        while len(lines) < len(STEPS):
            line = yield running.line()
            if line.startswith("curl "):
                lines.append(line)
        for step, line in zip(STEPS, lines, strict=True):
            shell = programs.start(reactor, ["/bin/sh", "-c", line], {}, str(self.folder))
            done = yield shell.ended
            head, _, body = done.out.partition("\r\n\r\n")
            self.assertIsNone(step.problem(Outcome(int(head.split()[1]), body)), line)
        running.signal("INT")
        done = yield running.ended
        self.assertEqual((done.code, "Traceback" in done.said), (0, False), done.said)

    @inlineCallbacks
    def test_a_busy_port(self):
        """A port in use is named, with what to do, and the exit code is 1."""
        with socket.create_server(("127.0.0.1", self.port)):
            done = yield self.demo("--check").ended
        self.assertEqual(done.code, 1, done.said)
        self.assertIn(f"in use already: port {self.port};", done.err)
        self.assertIn("Ctrl-C", done.err)

    @inlineCallbacks
    def test_a_backend_of_ones_own(self):
        """A backend beside the samples runs by itself: that it does is no obstacle."""
        with socket.create_server(("127.0.0.1", 0)) as own:
            port = own.getsockname()[1]
            mine = {"name": "mine", "path": "/mine", "url": f"https://127.0.0.1:{port}"}
            self.document["backends"].append(mine)
            self.write(self.document)
            running = self.demo("--backends")
            line = yield running.line()
            self.assertIn("Sample backends listen: /jobs at 127.0.0.1:", line)
            self.assertNotIn("/mine", line)
            running.signal("INT")
            yield running.ended
            done = yield self.demo("--check").ended
        self.assertEqual(done.code, 0, done.said)

    @inlineCallbacks
    def test_a_bad_configuration(self):
        """Complaints are printed with file and line, and the exit code is 2."""
        self.document["lisen"] = []
        self.write(self.document)
        done = yield self.demo("--check").ended
        self.assertEqual(done.code, 2, done.said)
        self.assertRegex(done.err, r"gateway\.yaml:[0-9]+: lisen")

    @inlineCallbacks
    def test_keys_that_are_not_ours_stay(self):
        """A folder `tls` with somebody's files is not replaced."""
        (self.folder / "etc" / "tls").mkdir()
        precious = self.folder / "etc" / "tls" / "server.key"
        precious.write_text("precious")
        done = yield self.demo("--prepare").ended
        self.assertEqual((done.code, precious.read_text()), (1, "precious"), done.said)
        self.assertIn("not replaced", done.err)


class StepTests(TestCase):
    """How an outcome is judged."""

    def test_problems(self):
        """Status, words and the number of lines each count."""
        step = Step("a log", "/x", 200, "line", lines=2)
        self.assertIsNone(step.problem(Outcome(200, "line\nline\n")))
        self.assertIn("status", step.problem(Outcome(403, "line\nline\n")))
        self.assertIn("'line'", step.problem(Outcome(200, "x\nx\n")))
        self.assertIn("got 1", step.problem(Outcome(200, "line\n")))

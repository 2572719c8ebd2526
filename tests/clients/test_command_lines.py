"""The four real command lines: each lists, creates, deletes, and explains errors."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import Clock

from tests.clients.stage import Stage, certificate, eventually

DOWN = "seems to be down"


class Errors:
    """What each command line must show when something goes wrong.

    The sentences are the gateway's and the backend's: a client that reads
    another shape would print brackets, or one letter per line.
    """

    program: str
    listing: tuple[str, ...]
    """A command that only reads."""
    mistake: tuple[str, ...]
    """A command that the backend refuses."""
    mistake_words: str
    api: str
    own_words: str
    """How the backend refuses a caller without identity."""

    @inlineCallbacks
    def test_own_mistake(self):
        """The backend's sentence about a mistake is shown as it is, and the exit code is 1."""
        done = yield self.toolforge(self.program, *self.mistake).ended
        self.assertEqual(done.code, 1, done.said)
        self.assertIn(self.mistake_words, done.said)

    @inlineCallbacks
    def test_foreign_tool(self):
        """Calling for another tool is refused by the gateway, with both names in one line."""
        done = yield self.toolforge(self.program, *self.listing, tool="other").ended
        self.assertEqual(done.code, 1, done.said)
        lines = [line for line in done.said.splitlines() if "tf-test" in line and "other" in line]
        self.assertTrue(lines, done.said)
        self.assertNotIn("{", lines[0])
        self.assertEqual(self.access_log()[-1]["status"], 403)

    @inlineCallbacks
    def test_backend_down(self):
        """A backend that refuses connections is called down, and the user is told to retry."""
        yield self.close_backend(self.api)
        done = yield self.toolforge(self.program, *self.listing).ended
        self.assertNotEqual(done.code, 0, done.said)
        self.assertIn(DOWN, done.said)
        self.assertEqual(self.access_log()[-1]["status"], 502)

    @inlineCallbacks
    def test_no_certificate(self):
        """A token that nobody asked for is dropped; the backend refuses in its own words."""
        user = {"token": "not-a-secret"}
        done = yield self.toolforge(self.program, *self.listing, user=user).ended
        self.assertEqual(done.code, 1, done.said)
        self.assertIn(self.own_words, done.said)

    @inlineCallbacks
    def test_inline_certificate(self):
        """A kubeconfig with the certificate's data instead of its path works as well."""
        paths = certificate("tf-test")
        user = {
            "client-certificate-data": Path(paths["client-certificate"]).read_text(),
            "client-key-data": Path(paths["client-key"]).read_text(),
        }
        done = yield self.toolforge(self.program, *self.listing, user=user).ended
        self.assertEqual(done.code, 0, done.said)


class JobsTests(Errors, Stage):
    """`toolforge-jobs`."""

    program = "toolforge-jobs"
    api = "jobs"
    listing = ("list",)
    mistake = ("run", "x", "--command", "./x", "--image", "windows")
    mistake_words = "No such container image 'windows'"
    own_words = "missing 'x-toolforge-tool' header"

    @inlineCallbacks
    def test_create_list_show_delete(self):
        """A job is made, listed, shown, deleted, and gone."""
        run = ("run", "hello", "--command", "./hello.sh", "--image", "bookworm")
        done = yield self.toolforge(self.program, *run).ended
        self.assertEqual((done.code, list(self.backends["jobs"].jobs["tf-test"])), (0, ["hello"]))
        done = yield self.toolforge(self.program, "list").ended
        self.assertEqual(done.code, 0, done.said)
        self.assertRegex(done.out, r"\| *hello *\| *one-off *\| *Running for 1m24s *\|")
        done = yield self.toolforge(self.program, "show", "hello").ended
        self.assertIn("./hello.sh", done.out)
        done = yield self.toolforge(self.program, "delete", "hello").ended
        self.assertEqual((done.code, self.backends["jobs"].jobs["tf-test"]), (0, {}))
        done = yield self.toolforge(self.program, "show", "hello").ended
        self.assertEqual(done.code, 1)
        self.assertIn("Job 'hello' does not exist", done.err)

    @inlineCallbacks
    def test_quota_and_images(self):
        """The small tables come through."""
        done = yield self.toolforge(self.program, "quota").ended
        self.assertIn("Continuous jobs", done.out)
        done = yield self.toolforge(self.program, "images").ended
        self.assertIn("bookworm", done.out)

    @inlineCallbacks
    def test_logs_in_pages(self):
        """`logs` follows the pages of the logs API and prints every line in order."""
        done = yield self.toolforge(self.program, "logs", "hello").ended
        self.assertEqual(done.code, 0, done.said)
        self.assertEqual(
            [line.rpartition("] ")[2] for line in done.out.splitlines()],
            [f"line {number}" for number in range(1, 6)],
        )


class BuildsTests(Errors, Stage):
    """`toolforge-build`."""

    program = "toolforge-build"
    api = "builds"
    listing = ("list",)
    mistake = ("start", "--detach", "ftp://example.org/x")
    mistake_words = "is no https URL"
    own_words = "no tool authentication header"

    @inlineCallbacks
    def test_start_list_delete(self):
        """A build is started, listed with its status, deleted, and gone."""
        start = ("start", "--detach", "https://example.org/x.git")
        done = yield self.toolforge(self.program, *start).ended
        self.assertEqual(done.code, 0, done.said)
        [name] = self.backends["builds"].builds["tf-test"]
        self.assertIn(name, done.out)
        done = yield self.toolforge(self.program, "list").ended
        self.assertRegex(done.out, rf"{name} +ok +")
        done = yield self.toolforge(self.program, "delete", "-y", name).ended
        self.assertIn("Deleted 1 builds", done.out)
        self.assertEqual(self.backends["builds"].builds["tf-test"], {})


class EnvvarsTests(Errors, Stage):
    """`toolforge-envvars`."""

    program = "toolforge-envvars"
    api = "envvars"
    listing = ("list",)
    mistake = ("create", "x", "y")
    mistake_words = "Invalid envvar name 'x'"
    own_words = "the 'x-toolforge-tool' header is missing"

    @inlineCallbacks
    def test_create_list_delete(self):
        """A variable is set, listed with its value, deleted, and gone."""
        done = yield self.toolforge(self.program, "create", "GREETING", "h\u00e9llo & more").ended
        self.assertEqual(done.code, 0, done.said)
        done = yield self.toolforge(self.program, "list", "--json").ended
        self.assertEqual(
            json.loads(done.out)["envvars"], [{"name": "GREETING", "value": "h\u00e9llo & more"}]
        )
        done = yield self.toolforge(self.program, "delete", "--yes-im-sure", "GREETING").ended
        self.assertIn("here is its last value", done.out)
        self.assertEqual(self.backends["envvars"].values["tf-test"], {})

    @inlineCallbacks
    def test_quota(self):
        """The quota is a table of numbers."""
        done = yield self.toolforge(self.program, "quota").ended
        self.assertRegex(done.out, r"10 +0 +10")


class ComponentsTests(Errors, Stage):
    """`toolforge-components`."""

    program = "toolforge-components"
    api = "components"
    listing = ("deployment", "list")
    mistake = ("deployment", "show", "20260101-000000-aaaaaaaaaa")
    mistake_words = "No deployment with id '20260101-000000-aaaaaaaaaa' found."
    own_words = "The 'x-toolforge-tool' header is required"

    @inlineCallbacks
    def test_deployment(self):
        """A deployment is made, listed, shown, deleted, and gone."""
        done = yield self.toolforge(self.program, "deployment", "create", "--force-build").ended
        self.assertEqual(done.code, 0, done.said)
        [(deploy_id, made)] = self.backends["components"].deployments["tf-test"].items()
        self.assertTrue(made["force_build"])
        done = yield self.toolforge(self.program, "deployment", "list").ended
        self.assertIn(deploy_id, done.out)
        done = yield self.toolforge(self.program, "deployment", "show").ended
        self.assertIn(deploy_id, done.out)
        delete = ("deployment", "delete", "--yes-im-sure", deploy_id)
        done = yield self.toolforge(self.program, *delete).ended
        self.assertEqual(done.code, 0, done.said)
        self.assertEqual(self.backends["components"].deployments["tf-test"], {})

    @inlineCallbacks
    def test_config_and_deploy_token(self):
        """Configuration and deploy token are managed with the certificate."""
        done = yield self.toolforge(self.program, "config", "generate").ended
        self.assertIn("component_type: continuous", done.out)
        done = yield self.toolforge(self.program, "deploy-token", "show", "--json").ended
        before = json.loads(done.out)["token"]
        refresh = ("deploy-token", "refresh", "--yes-im-sure", "--json")
        done = yield self.toolforge(self.program, *refresh).ended
        self.assertNotEqual(json.loads(done.out)["token"], before)
        self.assertNotIn(before, (self.folder / "access.log").read_text())


class FollowTests(Stage):
    """Logs that are followed with the real programs."""

    samples = ("jobs", "builds", "logs")

    @inlineCallbacks
    def follow(self, api: str, *command: str):
        """Follow a log whose backend's clock stands still, then press Ctrl-C.

        Each line is made only when the one before has been read, so whoever
        waits for more than a line on its way lets the test time out.
        """
        sample = self.backends[api]
        sample.clock = Clock()
        running = self.toolforge(*command)
        yield eventually(lambda: sample.streams, within=30)
        lines = []
        for _ in range(3):
            sample.clock.advance(1)
            lines.append((yield running.line()))
        running.signal("INT")
        done = yield running.ended
        yield eventually(lambda: not sample.streams, within=2)
        self.assertNotIn("Traceback", done.err)
        return lines

    @inlineCallbacks
    def test_jobs_logs(self):
        """`toolforge-jobs logs -f` shows each line as it comes; Ctrl-C ends the backend's work."""
        lines = yield self.follow("logs", "toolforge-jobs", "logs", "-f", "hello")
        self.assertEqual(
            [line.rpartition("] ")[2] for line in lines], ["line 1", "line 2", "line 3"]
        )

    @inlineCallbacks
    def test_build_logs(self):
        """`toolforge-build logs -f` shows each line as it comes; Ctrl-C ends the backend's work."""
        start = ("start", "--detach", "https://example.org/x.git")
        yield self.toolforge("toolforge-build", *start).ended
        [name] = self.backends["builds"].builds["tf-test"]
        lines = yield self.follow("builds", "toolforge-build", "logs", "-f", name)
        self.assertEqual(lines, [f"[step-build] line {number}" for number in (1, 2, 3)])

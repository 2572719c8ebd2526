"""The lines that `/docs` gives really do what they say: each is copied and run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from twisted.internet import reactor

from tests.browser.stage import PageTest
from tests.browser.test_docs import arrive, unfold
from tests.clients import programs
from tests.clients.stage import kubeconfig, pki
from tests.coroutines import CoroutineCase

CURL, REQUESTS, WELD, TOOLFORGE = "curl", "requests", "weld", "toolforge"

ODD = 'it\'s "quoted" $HOME `id` $(id) \\n \\ ünï \N{SNOWMAN} 100% !x\n\tnext *'
"""A value in which a shell or Python could find something of their own."""

SHIM = """#!/bin/sh
sub=$1
shift
exec {folder}/toolforge-$sub "$@"
"""
"""What the package that makes `toolforge` of its parts does."""


class Lines(CoroutineCase, PageTest):
    """Lines as a user of a bastion would run them: from a tool's home folder."""

    timeout = 90

    def setUp(self):
        self.home = Path(self.mktemp()).resolve() / "it's a home"
        (self.home / ".kube").mkdir(parents=True)
        (self.home / ".kube" / "config").write_text(yaml.safe_dump(kubeconfig("tf-test")))
        (self.home / ".toolskube").mkdir()
        for name in ("crt", "key"):
            (self.home / ".toolskube" / f"client.{name}").symlink_to(pki() / f"tool-tf-test.{name}")
        (self.home / "an authority.crt").symlink_to(pki() / "server-ca.crt")
        (self.home / "bin").mkdir()
        shim = self.home / "bin" / "toolforge"
        shim.write_text(SHIM.format(folder=Path(programs.client("python")).parent))
        shim.chmod(0o755)
        return super().setUp()

    async def lines(
        self,
        operation: str,
        language: str,
        values: dict[str, str] | None = None,
        body: Any = None,
    ) -> str | None:
        """What the page gives for an operation; None where there is no such tab."""

        def look(page: Any) -> str | None:
            arrive(page)
            page.get_by_text("For the command lines").click()
            page.get_by_label("Tool", exact=True).fill("tf-test")
            page.get_by_label("Authority").fill("~/an authority.crt")
            place = unfold(page, operation)
            for name, value in (values or {}).items():
                place.get_by_label(name, exact=True).fill(value)
            if body is not None:
                text = body if isinstance(body, str) else json.dumps(body)
                place.locator("textarea").fill(text)
            tab = place.locator(f"[data-language={language}]")
            if not tab.is_visible():
                return None
            tab.click()
            found: str = place.locator("pre code").last.text_content()
            return found

        found: str | None = await self.look(look)
        return found

    async def run_lines(self, text: str, language: str) -> programs.Finished:
        """Run them, as they are."""
        command = ["/bin/sh", "-c", text]
        if language in (REQUESTS, WELD):
            command = [programs.client("python"), "-c", text]
        environment = {
            "HOME": str(self.home),
            "PATH": f"{self.home}/bin:/usr/bin:/bin",
            "TOOL_TOOLFORGE_API_URL": self.url,
            "COLUMNS": "200",
        }
        if language == CURL:
            programs.program("curl")
        done: programs.Finished = await programs.run(reactor, command, environment)
        return done

    async def outcome(
        self, operation: str, language: str, values: dict[str, str] | None = None, body: Any = None
    ) -> str:
        """Copy, run, and give what was printed; the program must be content."""
        text = await self.lines(operation, language, values, body)
        assert text is not None, f"{operation} has no lines for {language}"
        done = await self.run_lines(text, language)
        self.assertEqual(done.code, 0, f"{text}\n{done.said}")
        return done.out

    async def test_bodies(self) -> None:
        """A value full of quotes, dollars and line ends arrives as it was, whatever one runs."""
        for language in (CURL, REQUESTS, WELD, TOOLFORGE):
            values = self.backends["envvars"].values.setdefault("tf-test", {})
            values.clear()
            await self.outcome(
                "createEnvvar", language, body={"name": "GREETING", "value": f"{ODD} {language}"}
            )
            self.assertEqual(values, {"GREETING": f"{ODD} {language}"})

    async def test_reading(self) -> None:
        """A list is read with the tool's certificate, and the server's is checked."""
        for language in (CURL, REQUESTS, WELD):
            out = await self.outcome("listEnvvars", language)
            self.assertIn("envvars", out)
        self.assertEqual({each["identity"] for each in self.log_of("/envvars/")}, {"tf-test"})

    async def test_paths(self) -> None:
        """A value in a path is encoded, so that it stays one segment and one value."""
        for language in (CURL, REQUESTS, WELD):
            text = await self.lines("showJob", language, {"job": "a?b #c'd\"$(id)é"})
            assert text is not None
            done = await self.run_lines(text, language)
            self.assertRegex(done.said, "does not exist|404 Client Error", text)
            path = self.log_of("/jobs/")[-1]["path"]
            self.assertEqual(
                path, "/jobs/v1/tool/tf-test/jobs/a%3Fb%20%23c%27d%22%24%28id%29%C3%A9"
            )

    async def test_queries(self) -> None:
        """Values in the query arrive decoded as they were typed."""
        seen = []
        logs = self.backends["logs"]
        usual = logs.authenticate
        self.patch(logs, "authenticate", lambda call: (seen.append(call.query), usual(call))[1])
        for language in (CURL, REQUESTS, WELD):
            text = await self.lines("followLog", language, {"job": "x", "since": "1 h&a=b+c#é'"})
            assert text is not None
            running = programs.start(
                reactor,
                ["/bin/sh", "-c", f"exec {text}"]
                if language == CURL
                else [programs.client("python"), "-u", "-c", text],
                {"HOME": str(self.home)},
            )
            self.addCleanup(running.end)
            # It streams: the first line comes while the answer goes on.
            self.assertIn("line 1", await running.line())
            await running.end()
            self.assertEqual(seen.pop(), {"since": "1 h&a=b+c#é'"}, text)

    async def test_toolforge(self) -> None:
        """The command line does what the operation does, with the options of the real program."""
        jobs = self.backends["jobs"].jobs
        job = {"name": "hello", "cmd": "./a 'b' \"$c\"", "imagename": "bookworm"}
        await self.outcome("createJob", TOOLFORGE, body={**job, "retry": 3, "mount": "all"})
        self.assertEqual(jobs["tf-test"]["hello"]["cmd"], job["cmd"])
        self.assertEqual(jobs["tf-test"]["hello"]["retry"], 3)
        self.assertIn("hello", await self.outcome("listJobs", TOOLFORGE))
        self.assertIn("./a", await self.outcome("showJob", TOOLFORGE, {"job": "hello"}))
        await self.outcome("deleteJob", TOOLFORGE, {"job": "hello"})
        self.assertEqual(jobs["tf-test"], {})
        self.assertEqual((await self.outcome("listBuilds", TOOLFORGE)).count("Traceback"), 0)
        await self.outcome("listEnvvars", TOOLFORGE)

    async def test_no_invented_commands(self) -> None:
        """Where the command line has no way to say it, there is none."""
        for operation, values, body in [
            ("createJob", {}, {"name": "x", "cmd": "y", "imagename": "z", "unheard": 1}),
            ("createJob", {}, "no JSON"),
            ("envvarsHealth", {}, None),
            ("followLog", {"job": "x", "since": "1h"}, None),
            ("oldBuild", {"id": "x"}, None),
        ]:
            self.assertIsNone(await self.lines(operation, TOOLFORGE, values, body), operation)

    async def test_anonymous(self) -> None:
        """What anyone may ask for is asked for without a certificate."""
        text = await self.lines("envvarsHealth", CURL)
        assert text is not None
        self.assertNotIn("--cert", text)
        self.assertIn("OK", await self.outcome("envvarsHealth", CURL))

    async def test_deploy_token(self) -> None:
        """With a deploy token there is no certificate, and no program that needs one."""

        def look(page: Any) -> None:
            arrive(page)
            place = unfold(page, "deploy")
            self.assertEqual(place.locator("[role=tab]:visible").count(), 4)
            place.get_by_label("With").select_option("a deploy token")
            self.assertEqual(place.locator("[role=tab]:visible").count(), 2)
            lines = place.locator("pre").inner_text()
            self.assertNotIn("--cert", lines)
            self.assertIn("/deployment?token=TOKEN", lines)
            self.assertIn("Still to fill in: token.", place.locator(".notes").inner_text())

        await self.look(look)
        out = await self.outcome("deploy", TOOLFORGE)
        self.assertEqual(self.log_of("/components/")[-1]["status"], 200, out)

    async def test_unfinished(self) -> None:
        """What is still to fill in is said, and stands in the lines in capitals."""

        def look(page: Any) -> None:
            arrive(page)
            place = unfold(page, "showJob")
            self.assertIn("/tool/my-tool/jobs/JOB", place.locator("pre").inner_text())
            self.assertIn("Still to fill in: job.", place.locator(".notes").inner_text())
            place = unfold(page, "createEnvvar")
            place.locator("textarea").fill("{")
            self.assertIn("not JSON", place.locator(".notes").inner_text())
            self.assertIn("--data-raw '{'", place.locator("pre").inner_text())

        await self.look(look)

    async def test_kept(self) -> None:
        """Tool, files and language are remembered in this browser, and copying copies."""

        def look(page: Any) -> None:
            page.context.grant_permissions(["clipboard-read", "clipboard-write"])
            arrive(page)
            page.get_by_text("For the command lines").click()
            page.get_by_label("Private key").fill("/x y/z.key")
            unfold(page, "listJobs").locator("[data-language=requests]").click()
            arrive(page)
            place = unfold(page, "listJobs")
            self.assertIn('"/x y/z.key"', place.locator("pre").inner_text())
            place.get_by_role("button", name="Copy").click()
            place.get_by_text("Copied").first.wait_for()
            copied = page.evaluate("navigator.clipboard.readText()")
            self.assertEqual(copied, place.locator("pre code").text_content())
            place.locator("[data-language=curl]").click()
            self.assertIn("--key '/x y/z.key'", place.locator("pre").inner_text())

        await self.look(look)

    def log_of(self, prefix: str) -> list[dict[str, Any]]:
        """The access log's lines about an API."""
        return [each for each in self.access_log() if each["path"].startswith(prefix)]

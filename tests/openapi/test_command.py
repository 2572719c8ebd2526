"""`toolforge-gateway openapi`, as a program, on files and on backends with real TLS."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import yaml
from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue

from tests.clients.stage import ROOT, pki
from tests.coroutines import CoroutineCase
from tests.openapi import shapes
from tests.openapi.backends import answer
from tests.openapi.documents import faults
from tests.relay.ends import Backend, answering
from toolforge_gateway.cli.main import main

APIS = ("jobs", "builds", "components")
PROGRAM = "import sys; from toolforge_gateway.cli.main import main; sys.exit(main(sys.argv[1:]))"


class CommandTests(CoroutineCase):
    """What it prints to both sides, and its exit codes."""

    timeout = 60

    def setUp(self) -> None:
        """Write files, and start backends that publish some of the same."""
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()
        (self.folder / "tls").symlink_to(pki())
        self.jobs = self.write("jobs.json", json.dumps(shapes.fastapi_jobs()))
        self.components = self.write("components.yaml", shapes.COMPONENTS)
        self.backends = {api: Backend(pki()) for api in APIS}
        self.backends["jobs"].script = answering(answer(shapes.fastapi_jobs()))
        self.backends["builds"].script = answering(answer(shapes.go_builds()))
        self.backends["components"].script = answering(
            answer(shapes.COMPONENTS.encode(), kind=b"application/yaml")
        )
        for backend in self.backends.values():
            self.addCleanup(backend.port.stopListening)

    def write(self, name: str, text: str) -> Path:
        """Write a file."""
        path = self.folder / name
        path.write_text(text)
        return path

    def configure(self) -> Path:
        """The shipped configuration, with these backends."""
        document = yaml.safe_load((ROOT / "etc" / "gateway.yaml").read_text())
        kept = [each for each in document["backends"] if each["path"].strip("/") in APIS]
        for each in kept:
            number = self.backends[each["path"].strip("/")].number
            each.update(url=f"https://127.0.0.1:{number}", openapi=True)
        document["backends"] = kept
        document["openapi_docs"] = {"title": "Ours"}
        return self.write("gateway.yaml", yaml.safe_dump(document))

    async def call(self, *words: object) -> tuple[int, str, str]:
        """What a call exits with, and what it prints to both sides."""
        out, err, code = await getProcessOutputAndValue(
            sys.executable,
            ["-c", PROGRAM, "openapi", *map(str, words)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            path=str(self.folder),
            reactor=reactor,
        )
        return code, out.decode(), err.decode()

    async def test_live(self) -> None:
        """It prints the valid document that is made of what the backends publish."""
        code, out, err = await self.call("--config", self.configure())
        self.assertEqual((code, err), (0, ""))
        document = json.loads(out)
        self.assertEqual(faults(document), [])
        self.assertEqual(document["info"]["title"], "Ours")
        self.assertEqual(list(document["x-toolforge-gateway"]), list(APIS))
        deploy = document["paths"]["/components/v1/tool/{toolname}/deployment"]["post"]
        self.assertEqual(deploy["security"], [{"clientCertificate": []}, {"deployToken": []}])

    async def test_yaml(self) -> None:
        """With --yaml it prints the same in YAML."""
        _, out, _ = await self.call("--part", f"jobs={self.jobs}")
        code, text, err = await self.call("--part", f"jobs={self.jobs}", "--yaml")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(yaml.safe_load(text), json.loads(out))

    async def test_files(self) -> None:
        """Files need no configuration and nothing that runs."""
        code, out, err = await self.call(
            "--part", f"jobs={self.jobs}", "--part", f"components={self.components}"
        )
        self.assertEqual((code, err), (0, ""))
        document = json.loads(out)
        self.assertEqual(faults(document), [])
        self.assertIn("/components/v1/healthz", document["paths"])

    async def test_report(self) -> None:
        """--check says of each API how it is, with the places and what to do."""
        broken = shapes.fastapi_jobs()
        get = broken["paths"]["/v1/healthz"]["get"]
        get["responses"]["200"] = {"$ref": "#/nowhere", "content": {}}
        file = self.write("broken.json", json.dumps(broken))
        code, out, err = await self.call(
            "--check", "--part", f"jobs={file}", "--part", f"components={self.components}"
        )
        self.assertEqual((code, err), (1, ""))
        self.assertEqual(
            out.splitlines(),
            [
                "jobs (/jobs): left out: 1 error and 1 warning",
                "  warning: /paths/~1v1~1healthz/get/responses/200/content: "
                "stands beside $ref, and is left out",
                "    put it where $ref leads",
                "  error: /paths/~1v1~1healthz/get/responses/200/$ref: leads to nothing: #/nowhere",
                "    add that response, or name another",
                "components (/components): 4 operations, fine",
                "2 APIs, 1 left out",
            ],
        )

    async def test_report_on_live_backends(self) -> None:
        """A backend that is down or sends nonsense is told; the others are looked at."""
        await self.backends["jobs"].port.stopListening()
        self.backends["builds"].script = answering(answer(b"<html>", kind=b"text/html"))
        code, out, err = await self.call("--config", self.configure(), "--check")
        self.assertEqual((code, err), (1, ""))
        jobs, builds, components, last = out.splitlines()
        self.assertRegex(jobs, r"^jobs \(/jobs\): left out: it .*refuse")
        self.assertIn("builds (/builds): left out: it has a document that is no object", builds)
        self.assertEqual(components, "components (/components): 4 operations, fine")
        self.assertEqual(last, "3 APIs, 2 left out")
        code, out, err = await self.call("--config", self.configure())
        self.assertEqual(code, 1)
        self.assertEqual(len(err.splitlines()), 2, err)
        self.assertEqual(list(json.loads(out)["x-toolforge-gateway"]), ["components"])

    async def test_a_file_in_place_of_a_backend(self) -> None:
        """With a configuration a file is judged as what its backend would publish."""
        await self.backends["jobs"].port.stopListening()
        self.backends["jobs"].script = None
        document = shapes.fastapi_jobs()
        document["paths"]["/v1/images"] = {"get": {"responses": {"200": {"description": ""}}}}
        file = self.write("new.json", json.dumps(document))
        code, out, _ = await self.call(
            "--config", self.configure(), "--part", f"jobs={file}", "--check"
        )
        self.assertEqual(code, 0)
        self.assertEqual(
            out.splitlines()[:3],
            [
                "jobs (/jobs): 4 operations, 1 warning",
                "  warning: /paths/~1v1~1images/get: is at /jobs/v1/images, "
                "which nobody may use through the gateway, and is left out",
                "    have it added to open_paths of this backend, or take no notice",
            ],
        )

    async def test_unusable(self) -> None:
        """Used wrongly, or with a configuration that is not good, it exits 2 and says why."""
        bad = self.write("bad.yaml", "listen: []\n")
        for words, why in (
            ([], "give --config, or --part API=FILE"),
            (["--part", "jobs"], "is not API=FILE"),
            (["--part", f"/jobs={self.jobs}"], "is not API=FILE"),
            (["--part", "jobs=nowhere.json"], "nowhere.json cannot be read: No such file"),
            (["--part", f"jobs={self.jobs}", "--part", f"jobs={self.jobs}"], "jobs is given twice"),
            (
                ["--part", f"x={self.jobs}", "--config", self.configure()],
                "has no API x; it has jobs",
            ),
            (["--config", bad], "bad.yaml"),
            (["--config", "nowhere.yaml"], "nowhere.yaml"),
            (["--check", "--yaml", "--part", f"jobs={self.jobs}"], "not allowed with"),
        ):
            code, out, err = await self.call(*words)
            self.assertEqual((code, out), (2, ""), words)
            self.assertIn(why, err)

    def test_odd_signs(self) -> None:
        """Nothing that a backend writes can move a terminal's cursor."""
        document = shapes.fastapi_jobs()
        document["paths"]["/v1/healthz"]["get"]["\x1b[2J"] = "\x1b[2J"
        document["components"]["schemas"]["S"] = {"$ref": "\x1b]0;x\x07" + "y" * 5000}
        file = self.write("odd.json", json.dumps(document))
        printed: list[str] = []
        self.patch(sys, "stdout", _Recorder(printed))
        self.assertEqual(main(["openapi", "--check", "--part", f"jobs={file}"]), 1)
        text = "".join(printed)
        self.assertIn("\\x1b[2J", text)
        self.assertEqual([c for c in text if not c.isprintable() and c != "\n"], [])
        self.assertLess(max(map(len, text.splitlines())), 500)


class _Recorder:
    """Keeps what is printed."""

    def __init__(self, printed: list[str]):
        self.write = printed.append

    def flush(self) -> None:
        """Nothing is held back."""

"""What can be said of the chart and the image by reading them."""

from __future__ import annotations

import json
import re

import yaml
from twisted.trial.unittest import SynchronousTestCase

from tests.chart.rendering import CHART, missing, run
from tests.clients.stage import ROOT
from toolforge_gateway._version import __version__

CONTAINERFILE = ROOT / "Containerfile"


def table_of(text: str, before: str) -> set[str]:
    """The first column of the table that follows some text, without its back-ticks."""
    table = text.partition(before)[2].partition("\n\n")[0]
    return set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE))


class ChartFileTests(SynchronousTestCase):
    """The chart's own files."""

    def test_version(self) -> None:
        """Chart and gateway have one version."""
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        self.assertEqual(chart["appVersion"], __version__)
        self.assertEqual(chart["version"], re.sub(r"\.?(dev|a|b|rc)", r"-\1", __version__))

    def test_backend_keys(self) -> None:
        """A backend may have every key that docs/configuration.md has for it, and no other."""
        schema = json.loads((CHART / "values.schema.json").read_text())
        backend = schema["definitions"]["backend"]["properties"]
        text = (ROOT / "docs" / "configuration.md").read_text()
        self.assertEqual(set(backend), table_of(text, "\n## backends\n\n"))
        self.assertEqual(
            set(backend["checks"]["properties"]), table_of(text, "\n| key of `checks`")
        )

    def test_readme(self) -> None:
        """README.md says of every value what it is, and of none that does not exist."""
        schema = json.loads((CHART / "values.schema.json").read_text())["properties"]
        lines = (CHART / "README.md").read_text().splitlines()
        cells = [line.split("|")[1] for line in lines if line.startswith("| `")]
        words = [word for cell in cells for word in re.findall(r"`([^`]+)`", cell)]
        self.assertEqual({word.partition(".")[0] for word in words}, set(schema) - {"global"})
        for word in words:
            properties = schema
            for name in word.split("."):
                self.assertIn(name, properties, word)
                properties = properties[name].get("properties", {})

    def test_defaults(self) -> None:
        """Every value of values.yaml is one that the schema knows."""
        schema = json.loads((CHART / "values.schema.json").read_text())["properties"]
        values = yaml.safe_load((CHART / "values.yaml").read_text())
        self.assertEqual(set(values) - set(schema), set())


class ContainerfileTests(SynchronousTestCase):
    """The recipe of the image."""

    def setUp(self) -> None:
        text = CONTAINERFILE.read_text()
        lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
        joined = "\n".join(lines).replace("\\\n", " ")
        self.steps = [line.split(None, 1) for line in joined.splitlines() if line.strip()]
        last = max(n for n, step in enumerate(self.steps) if step[0] == "FROM")
        self.build, self.end = self.steps[:last], self.steps[last:]

    def test_hashes(self) -> None:
        """What is installed from an index has a hash in requirements/, and is no source."""
        env = " ".join(step[1] for step in self.build if step[0] == "ENV")
        self.assertIn("PIP_REQUIRE_HASHES=1", env)
        self.assertIn("PIP_ONLY_BINARY=:all:", env)
        for _, what in self.build:
            if "PIP_REQUIRE_HASHES=0" in what:
                self.assertEqual(what.count("PIP_REQUIRE_HASHES=0"), what.count("--no-index"))

    def test_no_root(self) -> None:
        """It runs as a user who is not root, and says so by number."""
        [user] = [step[1] for step in self.end if step[0] == "USER"]
        self.assertRegex(user, r"^[1-9][0-9]{4}:[1-9][0-9]{4}$")

    def test_no_tools(self) -> None:
        """In the end there is Debian's Python and the gateway: no pip, compiler or setuptools."""
        installed = [step[1] for step in self.end if "apt-get install" in step[1]]
        self.assertEqual(len(installed), 1)
        packages = re.search(r"--no-install-recommends ([a-z0-9. -]+?) +&&", installed[0])
        self.assertEqual(packages[1].split(), ["python3"])
        copied = [step[1] for step in self.end if step[0] == "COPY"]
        self.assertEqual(copied, ["--from=build /opt/toolforge-gateway /opt/toolforge-gateway"])

    def test_signal(self) -> None:
        """It is stopped by the signal at which the gateway drains, with no shell in between."""
        steps = dict(reversed(self.end))
        self.assertEqual(steps["STOPSIGNAL"], "SIGTERM")
        self.assertEqual(json.loads(steps["ENTRYPOINT"])[0], "twistd")

    def test_context(self) -> None:
        """Of the checkout a builder gets what it copies, so no key and no test comes along."""
        lines = (ROOT / ".dockerignore").read_text().splitlines()
        self.assertEqual(lines[0], "*")
        wanted = {line[1:] for line in lines if line.startswith("!")}
        copied = {
            source.rstrip("/")
            for step in self.build
            if step[0] == "COPY"
            for source in step[1].split()[:-1]
        }
        self.assertEqual(wanted, copied)
        for path in wanted:
            self.assertTrue((ROOT / path).exists(), path)

    def test_linted(self) -> None:
        """hadolint has nothing to say that is not answered where it would say it."""
        done = run("hadolint", str(CONTAINERFILE))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    test_linted.skip = missing()  # type: ignore[attr-defined]

"""What can be said of debian/ without building it; `./run deb` does the rest."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import yaml
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from bootstrap.deb import MOST_EXPOSED
from bootstrap.environment import ROOT
from toolforge_gateway import config
from toolforge_gateway._version import __version__
from toolforge_gateway.cli.main import parser

DEBIAN = ROOT / "debian"
SERVICE = DEBIAN / "toolforge-gateway.service"


def debian_version(version: str) -> str:
    """A version of Python's (PEP 440) in Debian's words: what comes before a release has a `~`."""
    return re.sub(r"\.?(dev|a|b|rc)(\d+)", r"~\1\2", version)


def roff(name: str) -> str:
    """A manual page as words: without fonts, macros and escapes."""
    text = (DEBIAN / "man" / name).read_text(encoding="utf-8").replace("\\-", "-")
    return re.sub(r"\\f[BRI]|^\.[A-Z]{1,2} ?", "", text, flags=re.MULTILINE)


class VersionTests(SynchronousTestCase):
    """The version is written in one place, and the changelog follows it."""

    def test_changelog(self) -> None:
        """The newest entry of the changelog is of the version of the program."""
        first = (DEBIAN / "changelog").read_text(encoding="utf-8").splitlines()[0]
        self.assertTrue(
            first.startswith(f"toolforge-gateway ({debian_version(__version__)}) "), first
        )

    def test_words(self) -> None:
        """A version before a release is smaller than the release for Debian too."""
        for version, wanted in [
            ("0.1.0.dev0", "0.1.0~dev0"),
            ("1.0.0rc1", "1.0.0~rc1"),
            ("1.2.3", "1.2.3"),
        ]:
            self.assertEqual(debian_version(version), wanted)


class ServiceTests(SynchronousTestCase):
    """The units."""

    def setUp(self) -> None:
        self.lines = SERVICE.read_text(encoding="utf-8").splitlines()

    def test_exposure(self) -> None:
        """`systemd-analyze security` counts an exposure of at most 1.5."""
        analyze = shutil.which("systemd-analyze")
        if analyze is None:
            raise SkipTest("no systemd-analyze: apt-get install systemd; ./run deb needs it")
        self.assertLessEqual(MOST_EXPOSED, 15)
        words = ["security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}"]
        done = subprocess.run(
            [analyze, *words, str(SERVICE)], capture_output=True, text=True, check=False
        )
        self.assertEqual(done.returncode, 0, done.stdout[-300:] + done.stderr)

    def test_checks_before_it_acts(self) -> None:
        """It checks before a start and before a reload, and is of Type=notify with a watchdog."""
        check = "/usr/bin/toolforge-gateway check --config /etc/toolforge-gateway/gateway.yaml"
        self.assertIn(f"ExecStartPre={check}", self.lines)
        reloads = [line for line in self.lines if line.startswith("ExecReload=")]
        self.assertEqual(
            reloads, [f"ExecReload={check}", f"ExecReload={check.replace('check', 'reload')}"]
        )
        self.assertIn("Type=notify", self.lines)
        self.assertTrue(any(line.startswith("WatchdogSec=") for line in self.lines))

    def test_keys_are_read_from_their_own_path(self) -> None:
        """Nothing is handed over by LoadCredential, whose copies a rotation would not reach."""
        self.assertFalse([line for line in self.lines if "Credential" in line])

    def test_parsed(self) -> None:
        """Both units have the sections that systemd wants."""
        for name in ("service", "socket"):
            unit = RawConfigParser(strict=False)
            unit.read(DEBIAN / f"toolforge-gateway.{name}")
            self.assertEqual(unit.sections(), ["Unit", name.title(), "Install"])


class ConfigurationTests(SynchronousTestCase):
    """The configuration of the package."""

    FILE = DEBIAN / "gateway.yaml"

    def test_loads(self) -> None:
        """It loads without a complaint or a warning, and has what the service gives it."""
        configuration = config.load(self.FILE)
        self.assertEqual(configuration.warnings, ())
        assert configuration.control is not None
        self.assertEqual(configuration.control.socket, Path("/run/toolforge-gateway/control"))
        self.assertEqual(configuration.access_log.file.parent, Path("/var/log/toolforge-gateway"))

    def test_like_the_demonstration(self) -> None:
        """What it says, the demonstration says too, but for the place of a few files."""
        ours = yaml.safe_load(self.FILE.read_text())
        demo = yaml.safe_load((ROOT / "etc" / "gateway.yaml").read_text())
        for key in ("listen", "upstream_tls", "backends", "authenticators", "timeouts", "limits"):
            self.assertEqual(ours[key], demo[key], key)


class ManualTests(SynchronousTestCase):
    """The manual pages."""

    def test_commands(self) -> None:
        """Each command of the program is in its manual page."""
        page = roff("toolforge-gateway.8")
        (commands,) = [
            action.choices for action in parser()._actions if isinstance(action.choices, dict)
        ]
        for name in commands:
            self.assertRegex(page, rf'(?m)^"?{name}\b', name)

    def test_keys(self) -> None:
        """Each key at the top level of the configuration is in its manual page."""
        page = roff("toolforge-gateway.yaml.5")
        text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
        table = text.partition("## Top level")[2].partition("\n## ")[0]
        keys = re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE)
        self.assertGreater(len(keys), 8)
        for key in keys:
            self.assertRegex(page, rf"(?m)^{key}$", key)

    def test_rendered(self) -> None:
        """groff has nothing to say about them."""
        groff = shutil.which("groff")
        if groff is None:
            raise SkipTest("no groff: apt-get install groff-base; lintian looks as well")
        for page in sorted((DEBIAN / "man").iterdir()):
            done = subprocess.run(
                [groff, "-man", "-Tutf8", "-ww", str(page)], capture_output=True, check=False
            )
            self.assertEqual((done.returncode, done.stderr), (0, b""), page.name)


class DocumentTests(SynchronousTestCase):
    """docs/operations.md, which is in the package."""

    def test_commands(self) -> None:
        """Each command for Debian that stands in a block is one that the journey runs."""
        text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
        section = text.partition("### Debian\n")[2].partition("\n### ")[0].replace("\\\n", " ")
        blocks = [line for line in section.splitlines() if line.startswith("    ")]
        commands = {" ".join(re.sub(r"\s#\s.*", "", line).split()) for line in blocks}
        self.assertGreater(len(commands), 15)
        tree = ast.parse((ROOT / "tests" / "deb" / "journey.py").read_text(encoding="utf-8"))
        run = {
            ast.literal_eval(call.args[0])
            for call in ast.walk(tree)
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Name)
            and call.func.id == "documented"
        }
        self.assertEqual(commands - run, set())

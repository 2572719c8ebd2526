"""What the built wheel holds, and that `twistd` finds the gateway once it is installed."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bootstrap.environment import ROOT
from toolforge_gateway._version import __version__

BUILT_FROM = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "toolforge_gateway", "twisted")
TWISTD = "from twisted.scripts.twistd import run; run()"


def build_wheel(folder: Path) -> Path:
    """Build the project's wheel from a copy, so that nothing is left in the checkout."""
    source = folder / "source"
    source.mkdir(parents=True)
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "dropin.cache")
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, source / name)
    how = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    command = [sys.executable, "-m", "pip", "wheel", *how, "--wheel-dir", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    [wheel] = folder.glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Installed:
    """A fresh environment with the wheel in it."""

    folder: Path
    wheel: Path

    def program(self, name: str) -> str:
        """A program of the environment."""
        return str(self.folder / "venv" / "bin" / name)


def clean() -> dict[str, str]:
    """Environment variables that lead nowhere near the checkout."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@functools.cache
def installed() -> Installed:
    """Build and install, once for all tests.

    What the gateway depends on is borrowed from the environment that runs the tests.
    """
    folder = Path("installed").resolve()  # in trial's own folder
    shutil.rmtree(folder, ignore_errors=True)
    fresh = Installed(folder, build_wheel(folder))
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    command = [sys.executable, "-m", "pip", "--python", fresh.program("python"), "install"]
    how = ["--no-deps", "--no-index", "--quiet"]
    # Without PYTHONPATH: a checkout on it would count as installed already.
    subprocess.run([*command, *how, str(fresh.wheel)], check=True, capture_output=True, env=clean())
    base = str(folder / "venv")
    site_packages = sysconfig.get_path("purelib", "venv", vars={"base": base, "platbase": base})
    # A path file within a folder that a path file names is not read: so a checkout that is
    # installed in this environment stays out of the fresh one.
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(site_packages, "borrowed.pth").write_text("\n".join(sorted(borrowed)) + "\n")
    return fresh


class InstalledTests(SynchronousTestCase):
    """What a user of the wheel finds."""

    def setUp(self) -> None:
        """The environment is shared: nothing changes it."""
        self.fresh = installed()

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Call a program of the fresh environment, far from the checkout."""
        elsewhere = Path(self.mktemp())
        elsewhere.mkdir()
        return subprocess.run(
            words, cwd=elsewhere, env=clean(), capture_output=True, text=True, check=False
        )

    def test_from_the_wheel(self) -> None:
        """What the other tests call is the wheel's, not the checkout's."""
        code = "import toolforge_gateway; print(toolforge_gateway.__file__)"
        done = self.call(self.fresh.program("python"), "-c", code)
        self.assertTrue(done.stdout.startswith(str(self.fresh.folder / "venv")), done)

    def test_twistd_lists_it(self) -> None:
        """`twistd --help` names the gateway."""
        done = self.call(self.fresh.program("python"), "-c", TWISTD, "--help")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^ +toolforge-gateway +An API gateway")

    def test_twistd_loads_it(self) -> None:
        """`twistd toolforge-gateway --version` is answered by the gateway."""
        done = self.call(
            self.fresh.program("python"), "-c", TWISTD, "toolforge-gateway", "--version"
        )
        expected = (0, f"toolforge-gateway {__version__}\n")
        self.assertEqual((done.returncode, done.stdout), expected, done.stderr)

    def test_authenticators(self) -> None:
        """The built-in authenticators are found in the installed wheel as well."""
        code = (
            "from twisted.plugin import getPlugins;"
            "from toolforge_gateway.interfaces import IAuthenticatorFactory as F;"
            "print(*sorted(each.kind for each in getPlugins(F)))"
        )
        done = self.call(self.fresh.program("python"), "-c", code)
        self.assertEqual(
            done.stdout.split(), ["deploy-token", "kubernetes-certificate", "superuser"], done
        )

    def test_script(self) -> None:
        """The console script is there and runs."""
        done = self.call(self.fresh.program("toolforge-gateway"), "--version")
        self.assertEqual(done.stdout, f"toolforge-gateway {__version__}\n", done.stderr)

    def test_no_package_of_twisteds(self) -> None:
        """The wheel adds plug-ins to Twisted's folder, but no __init__.py, which would hide it."""
        with zipfile.ZipFile(self.fresh.wheel) as wheel:
            names = [name for name in wheel.namelist() if name.startswith("twisted/")]
        self.assertIn("twisted/plugins/toolforge_gateway_plugin.py", names)
        self.assertEqual([name for name in names if name.endswith("__init__.py")], [])

    def test_nothing_else(self) -> None:
        """Tests and the set-up scripts are not in the wheel; the marker for types is."""
        with zipfile.ZipFile(self.fresh.wheel) as wheel:
            names = wheel.namelist()
        tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
        self.assertEqual(tops, {"toolforge_gateway", "twisted"})
        self.assertIn("toolforge_gateway/py.typed", names)

    def test_pages(self) -> None:
        """The files of the pages are in the wheel, all of them, with the licences of others."""
        static = ROOT / "toolforge_gateway" / "pages" / "static"
        wanted = {str(each.relative_to(ROOT)) for each in static.rglob("*") if each.is_file()}
        with zipfile.ZipFile(self.fresh.wheel) as wheel:
            names = set(wheel.namelist())
        self.assertEqual(wanted - names, set())
        self.assertIn("toolforge_gateway/pages/static/vendor/commonmark/LICENSE.txt", names)

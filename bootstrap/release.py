"""`./run release`: what is handed out, made and tried."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap import habits, inventory
from bootstrap.environment import GATEWAY, ROOT, TOOLS, Environment, SetupFailed
from bootstrap.packed import PACKAGE, Built, Room, build, unpack
from bootstrap.trial import counted

RELEASE = Environment(".venv-release", ("bootstrap", "release"))
RUNTIME = Environment(".venv-runtime", ("gateway",))
"""What runs in the end, and nothing besides."""

SHORT_SDIST = ("tests.http", "tests.frame.test_layers", "tests.frame.test_release")
SHORT_WHEEL = ("tests.auth.test_chain", "tests.pages.test_status", "tests.relay.test_requests")
"""What `--check` runs: some of everything, with the help of no other program."""

CHECKOUT = (
    "benchmarks",
    "browser",
    "chart",
    "contrib",
    "deb",
    "frame",
    "fuzz",
    "pages/test_vendored.py",
)
"""Tests that look at source files, or at what is not in the wheel; no others need them."""


class Wrong(Exception):
    """A step did not pass; the message says what to do."""


@dataclass
class Release:
    """One run of the command.

    :param short: whether only to find out if a release could be made.
    :param dirty: whether a checkout with changes will do.
    """

    folder: Path
    """For all that is thrown away afterwards."""
    dist: Path
    """For what is kept."""
    short: bool
    dirty: bool
    version: str
    said: list[tuple[str, str, bool]] = field(default_factory=list)
    """Name of each step, what came of it, and whether that is good."""
    built: Built | None = None

    def step(self, name: str, action: Callable[[], str]) -> None:
        """Do one thing, and remember what came of it."""
        print(f"run: release: {name}", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            outcome, good = action(), True
        except (Wrong, SetupFailed) as error:
            outcome, good = str(error), False
        seconds = time.monotonic() - began
        self.said.append((name, f"{outcome} ({seconds:.0f} s)", good))

    # The steps.

    def versions(self) -> str:
        """The version is the same wherever it is written."""
        wrong = habits.disagreements(ROOT)
        if wrong:
            raise Wrong("\n".join(wrong))
        return f"{self.version}, the same wherever it is written"

    def checkout(self) -> str:
        """What is built is what is committed."""
        changed = _git("status", "--porcelain")
        if changed is None:
            return "not from git: its files as they are"
        if not changed:
            return f"commit {_git('rev-parse', '--short', 'HEAD')}"
        if self.short or self.dirty:
            return "with changes that are not committed"
        raise Wrong("there are changes that are not committed: commit them, or say --dirty")

    def news(self) -> str:
        """All news would be in the change log, or already are."""
        wrong = habits.wrong_fragments(ROOT)
        if wrong:
            raise Wrong("\n".join(wrong))
        left = habits.fragments(ROOT)
        if not habits.is_development(self.version):
            if left:
                raise Wrong(
                    f"{len(left)} news are not in NEWS.md yet: "
                    f".venv-tools/bin/towncrier build --version {self.version}"
                )
            heading = f"## {self.version} ("
            text = (ROOT / "NEWS.md").read_text(encoding="utf-8")
            if not any(line.startswith(heading) for line in text.splitlines()):
                raise Wrong(f"NEWS.md has no heading {heading}…)")
            return f"NEWS.md tells of {self.version}"
        command = [str(TOOLS.program("towncrier")), "build", "--draft", "--version", self.version]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        entries = sum(line.startswith("- ") for line in done.stdout.splitlines())
        if done.returncode or entries < len(left):
            raise Wrong(f"towncrier shows {entries} of {len(left)} news:\n{done.stderr}")
        return f"{len(left)} news since the last release; towncrier takes them all"

    def packed(self) -> str:
        """Source archive and wheel are built, of a copy of the checkout."""
        source, target = self.folder / "source", self.folder / "built"
        target.mkdir()
        tracked = _copy(source)
        built = build(source, target, RELEASE, _git("log", "-1", "--format=%ct"))
        with tarfile.open(built.sdist) as archive:
            names = [each.name.partition("/")[2] for each in archive if each.isfile()]
        if tracked is not None:
            missing = habits.left_out(tracked, names)
            if missing:
                raise Wrong(
                    f"MANIFEST.in leaves {len(missing)} files out of the source archive: "
                    f"{', '.join(missing[:10])}"
                )
        self.built = built
        with zipfile.ZipFile(built.wheel) as wheel:
            return f"source archive of {len(names)} files, wheel of {len(wheel.namelist())}"

    def sdist(self) -> str:
        """The source archive passes its own tests where it is unpacked."""
        root = unpack(self._built().sdist, self.folder / "unpacked")
        if not self.short:
            return self._tested([sys.executable, str(root / "run"), "test"], root, os.environ)
        room = Room.make(self.folder / "sdist-room", GATEWAY)
        self._comes_from(room, root, root)
        command = [room.python, "-m", "twisted.trial", *SHORT_SDIST]
        return self._tested(command, root, room.environ(root))

    def wheel(self) -> str:
        """The wheel, installed, passes the tests that the source archive brings along."""
        root = unpack(self._built().sdist, self.folder / "tests-of-wheel")
        for name in (PACKAGE, "twisted"):
            shutil.rmtree(root / name)
        room = Room.make(self.folder / "wheel-room", GATEWAY)
        room.install(self._built().wheel, RELEASE)
        self._comes_from(room, root, room.folder)
        for name in CHECKOUT:
            path = root / "tests" / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        names = SHORT_WHEEL if self.short else ("tests",)
        command = [room.python, "-m", "twisted.trial", *names]
        return self._tested(command, root, room.environ(root))

    def bill(self) -> str:
        """There is a bill of materials."""
        RUNTIME.ensure()
        path = self.folder / "built" / f"toolforge-gateway-{self.version}.cdx.json"
        with zipfile.ZipFile(self._built().wheel) as wheel:
            [name] = [each for each in wheel.namelist() if each.endswith(".dist-info/METADATA")]
            metadata = wheel.read(name).decode("utf-8")
        lines = metadata.partition("\n\n")[0].splitlines()
        prefix = "Requires-Dist: "
        wanted = [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]
        count = inventory.write_bill(path, self.version, wanted, RUNTIME, RELEASE)
        return f"CycloneDX, valid: {count} components besides the gateway"

    def audit(self) -> str:
        """Known weaknesses are reported."""
        report = self.folder / "built" / f"toolforge-gateway-{self.version}.audit.json"
        return inventory.audit(ROOT / "requirements" / "gateway.txt", report, RELEASE)

    def hand_over(self) -> str:
        """All files are where they are looked for, with their sums."""
        shutil.rmtree(self.dist, ignore_errors=True)
        self.dist.mkdir()
        files = sorted((self.folder / "built").iterdir())
        sums = []
        for each in files:
            shutil.copy(each, self.dist)
            sums.append(f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}\n")
        (self.dist / "SHA256SUMS").write_text("".join(sums), encoding="ascii")
        return f"{', '.join(each.name for each in files)}, SHA256SUMS in {self.dist.name}/"

    def _built(self) -> Built:
        if self.built is None:
            raise Wrong("there is nothing to try: it could not be built")
        return self.built

    def _comes_from(self, room: Room, where: Path, wanted: Path) -> None:
        origin = room.origin(where)
        if not origin.startswith(f"{wanted}{os.sep}"):
            raise Wrong(f"the tests would try another {PACKAGE}: {origin or 'none is there'}")

    def _tested(self, command: list[str], where: Path, environ: Mapping[str, str]) -> str:
        good, wrong = counted(command, environ, where)
        if wrong or not good:
            raise Wrong(f"{good} tests passed, {wrong} failed")
        return f"{good} tests passed"


def run(words: Sequence[str]) -> int:
    """Make a release, or with `--check` find out whether one could be made.

    :return: 0: all steps passed; 1: some did not.
    """
    unknown = set(words) - {"--check", "--dirty"}
    if unknown:
        raise SetupFailed(f"release takes --check and --dirty, not {', '.join(sorted(unknown))}")
    short = "--check" in words
    for environment in (GATEWAY, TOOLS, RELEASE):
        environment.ensure()
    with tempfile.TemporaryDirectory(prefix="run-release-") as folder:
        version = habits.version_of(ROOT)
        release = Release(Path(folder), ROOT / "dist", short, "--dirty" in words, version)
        release.step("version", release.versions)
        release.step("checkout", release.checkout)
        release.step("news", release.news)
        release.step("build", release.packed)
        release.step("source archive", release.sdist)
        release.step("wheel", release.wheel)
        release.step("bill of materials", release.bill)
        if not short:
            release.step("weaknesses", release.audit)
            if all(good for *_, good in release.said):
                release.step("files", release.hand_over)
    print(f"\ntoolforge-gateway {version}")
    for name, outcome, good in release.said:
        print(f"{'ok' if good else 'WRONG':5}  {name}: {outcome}")
    passed = sum(good for *_, good in release.said)
    print(f"\n{passed} passed, {len(release.said) - passed} failed")
    return 0 if passed == len(release.said) else 1


def _git(*words: str) -> str | None:
    """What git says; None where this is no checkout of its own."""
    if not (ROOT / ".git").exists():
        return None
    done = subprocess.run(
        ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False
    )
    return None if done.returncode else done.stdout.strip()


def _copy(target: Path) -> list[str] | None:
    """Copy the files that belong to the checkout, so that nothing is left in it.

    :return: their names, by git; None where git does not know: then all are copied that
        can be meant.
    """
    listed = _git("ls-files", "--cached", "--others", "--exclude-standard")
    if listed is None:
        ignored = shutil.ignore_patterns(
            ".*", "__pycache__", "*.egg-info", "build", "dist", "_trial_temp*", "dropin.cache"
        )
        shutil.copytree(ROOT, target, ignore=ignored)
        for name in (".ci", ".dockerignore"):
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, target / name)
            elif (ROOT / name).exists():
                shutil.copy(ROOT / name, target / name)
        return None
    names = [name for name in listed.splitlines() if os.path.isfile(ROOT / name)]
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name)
    return names

"""`./run deb`: builds the Debian package, has it judged, boots a machine and tries it there."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bootstrap import debian, machine
from bootstrap.environment import ROOT, SetupFailed

DIST = ROOT / "dist"
CACHE = ROOT / ".deb"
"""The base tree; some 300 MB, made once."""
MOST_EXPOSED = 15
"""Tenths, of what `systemd-analyze security` counts up to 10."""
CLEAN_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Debian's own programs alone: another Python that comes first would have other libraries."""
TOOLS = {
    "dpkg-buildpackage": "dpkg-dev",
    "dh": "debhelper",
    "lintian": "lintian",
    "autopkgtest": "autopkgtest",
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "systemd-analyze": "systemd",
}
MACHINE = ("systemd", "systemd-sysv", "dbus", "curl", "openssl", "logrotate", "procps", "iproute2")
"""What a machine has besides what the package depends on."""
TESTED = ("apt-utils", "dpkg-dev")
"""What autopkgtest wants there; it has no network to get it from."""
_COUNTS = re.compile(r"^(\d+) passed, (\d+) failed$", re.MULTILINE)


class Ledger:
    """What was looked at, and what came of it."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    def check(self, sentence: str, call: Callable[[], str | None]) -> bool:
        """:param call: says what is wrong; None: nothing."""
        began = time.monotonic()
        wrong = call()
        took = time.monotonic() - began
        print(f"  {'FAILED' if wrong else 'ok    '} {took:5.1f} s  {sentence}", flush=True)
        if wrong:
            print("\n".join(f"         {line}" for line in wrong.splitlines()), flush=True)
        self.passed += not wrong
        self.failed += bool(wrong)
        return not wrong


def main(words: Sequence[str]) -> int:
    """:return: the exit code: 0 all passed, 1 something failed.
    :raise SetupFailed: it cannot be done here.
    """
    parser = argparse.ArgumentParser(prog="./run deb", description=__doc__)
    parser.add_argument("--build", action="store_true", help="build and judge it, boot nothing")
    parser.add_argument("--fresh", action="store_true", help="make the tree of the machine anew")
    options = parser.parse_args(words)
    _install_tools()
    ledger = Ledger()
    with tempfile.TemporaryDirectory(prefix="toolforge-gateway-deb-") as name:
        folder = Path(name)
        source = _export(folder / "source")
        print("The package:", flush=True)
        if ledger.check("dpkg-buildpackage builds it, with its tests", lambda: _build(source)):
            _judge(ledger, folder, source)
            if not options.build:
                _try_in_a_machine(ledger, next(folder.glob("*.deb")), source, options.fresh)
    print(f"\n{ledger.passed} passed, {ledger.failed} failed")
    return 1 if ledger.failed else 0


def _install_tools() -> None:
    if shutil.which("apt-get") is None:
        raise SetupFailed("a Debian package is built on Debian 12; here is no apt-get")
    path = f"{os.environ.get('PATH', os.defpath)}:{CLEAN_PATH}"
    missing = [package for tool, package in TOOLS.items() if not shutil.which(tool, path=path)]
    if missing and not debian.install(*missing):
        raise SetupFailed(f"needs these, as root: apt-get install {' '.join(missing)}")


def _export(target: Path) -> Path:
    """The checkout as it is, without what git ignores; building leaves traces everywhere."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:  # no checkout, but an unpacked archive
        ignored = shutil.ignore_patterns(
            ".venv*", ".git", ".tox", ".deb", "dist", "build", "*.py[co]"
        )
        shutil.copytree(ROOT, target, symlinks=True, ignore=ignored)
        return target
    for file in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / file).is_file():
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, target / file)
    return target


def _clean_environ() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "PIP_", "VIRTUAL_ENV", "DEB_"))
    }
    return {**kept, "PATH": CLEAN_PATH, "LANG": "C.UTF-8", "TZ": "UTC"}


def _wrong(command: Sequence[str], where: Path, last: int = 30) -> str | None:
    """Run something: the end of what it said if its exit code is not 0."""
    done = subprocess.run(
        command,
        cwd=where,
        env=_clean_environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if not done.returncode:
        return None
    tail = "\n".join(done.stdout.splitlines()[-last:])
    return f"{' '.join(command)}: exit code {done.returncode}\n{tail}"


def _build(source: Path) -> str | None:
    lacking = _wrong(["dpkg-checkbuilddeps"], source)
    if lacking is not None:
        if os.geteuid() != 0:
            return f"{lacking}\nas root: apt-get build-dep ./"
        get = ["apt-get", "--quiet=2", "-o", "DPkg::Lock::Timeout=300", "build-dep", "--yes"]
        wanted = [*get, "--no-install-recommends", "./"]
        # The lists of a new machine are empty or old: then the first try fails, and we get them.
        if _wrong(wanted, source) is not None:
            _wrong(["apt-get", "--quiet=2", "update"], source)
            if (failed := _wrong(wanted, source)) is not None:
                return failed
    failed = _wrong(["dpkg-buildpackage", "--no-sign", "--build=binary"], source, last=60)
    if failed is None:
        DIST.mkdir(exist_ok=True)
        for old in DIST.glob("toolforge-gateway_*.deb"):
            old.unlink()
        for built in source.parent.glob("*.deb"):
            shutil.copy2(built, DIST)
    return failed


def _judge(ledger: Ledger, folder: Path, source: Path) -> None:
    changes = next(folder.glob("*.changes")).name
    lintian = ["lintian", "--fail-on=error,warning", "--tag-display-limit=0"]
    if os.geteuid() == 0:
        lintian.append("--allow-root")
    ledger.check(
        "lintian finds no error and no warning", lambda: _wrong([*lintian, changes], folder)
    )
    unit = "debian/toolforge-gateway.service"
    security = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    ledger.check(
        f"systemd counts an exposure of at most {MOST_EXPOSED / 10}",
        lambda: _wrong([*security, f"--threshold={MOST_EXPOSED}", unit], source, last=3),
    )


def _depends(deb: Path) -> list[str]:
    """The packages it depends on; of alternatives the first."""
    asked = subprocess.run(
        ["dpkg-deb", "--field", str(deb), "Depends"], capture_output=True, text=True, check=True
    )
    found = [re.split(r"[ :(|]", each.strip())[0] for each in asked.stdout.split(",")]
    return [each for each in found if each]


def _try_in_a_machine(ledger: Ledger, deb: Path, source: Path, fresh: bool) -> None:
    why = machine.can_boot()
    if why is not None:
        raise SetupFailed(why)
    if fresh:
        shutil.rmtree(CACHE, ignore_errors=True)
    try:
        archive = machine.base(CACHE, [*MACHINE, *TESTED, *_depends(deb)])
        print("Its own tests, in a tree of Debian's:", flush=True)
        with machine.tree(archive) as root:
            ledger.check("autopkgtest passes", lambda: _autopkgtest(deb, source, root))
        print("In a machine that has been booted:", flush=True)
        with machine.tree(archive) as root:
            place = root / "srv"
            shutil.copy2(deb, place)
            shutil.copytree(source / "tests" / "deb", place / "deb")
            shutil.copy2(source / "docs" / "operations.md", place / "deb")
            with machine.booted(root) as running:
                done = running.run("python3", "-B", "/srv/deb/journey.py")
    except machine.NoMachine as error:
        raise SetupFailed(str(error)) from None
    counts = _COUNTS.findall(done.stdout)
    if not counts or (done.returncode and counts[-1][1] == "0"):
        print(f"  FAILED the journey ended before its end, exit code {done.returncode}")
        ledger.failed += 1
    if counts:
        ledger.passed += int(counts[-1][0])
        ledger.failed += int(counts[-1][1])


def _autopkgtest(deb: Path, source: Path, root: Path) -> str | None:
    out = deb.parent / "autopkgtest"
    command = ["autopkgtest", "--quiet", "--no-built-binaries", f"--output-dir={out}"]
    return _wrong([*command, str(deb), f"{source}/", "--", "chroot", str(root)], deb.parent)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

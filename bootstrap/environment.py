"""The virtual environments of a checkout: made once, from lock files, whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bootstrap import pip
from bootstrap.lockfile import find_pin

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""
MARKER = ".complete"
"""The file that is written into an environment last; it holds what the environment was made of."""


class SetupFailed(Exception):
    """An environment could not be made; the message says what to do."""


@dataclass(frozen=True)
class Environment:
    """One virtual environment of a checkout."""

    name: str
    """Its folder in the checkout."""
    locks: tuple[str, ...]
    """Files in `requirements/`, without suffix, that are installed together."""
    with_project: bool = False
    """Whether the project itself is in it, run from the checkout."""
    from_source: tuple[str, ...] = ()
    """Packages that have no wheel; what the first lock brings must be able to build them, so that
    nothing without a hash has a part in it."""
    root: Path = ROOT

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self.root / self.name

    def program(self, name: str) -> Path:
        """A program in it."""
        return self.folder / "bin" / name

    def recipe(self) -> str:
        """What it is made of; an environment of another recipe is made anew.

        The path counts because the programs inside carry it in their first line.
        """
        digest = hashlib.sha256()
        files = [self._lock(name) for name in self.locks]
        if self.with_project:
            files.append(self.root / "setup.py")
        for path in files:
            digest.update(path.read_bytes() + b"\0")
        python = f"{platform.python_implementation()} {platform.python_version()}"
        return f"{digest.hexdigest()} {python} {platform.machine()} {self.folder}\n"

    def complete(self) -> bool:
        """Whether it is there, whole, and what the checkout asks for."""
        try:
            made_of = (self.folder / MARKER).read_text(encoding="utf-8")
        except OSError:
            return False
        return made_of == self.recipe() and os.access(self.program("python"), os.X_OK)

    def ensure(self) -> None:
        """Make it unless it is complete.

        :raise SetupFailed: it could not be made.
        """
        if self.complete():
            return
        try:
            with _alone(self.root / ".run.lock"):
                if not self.complete():
                    self._make()
        except (OSError, ValueError, pip.NoPip) as error:
            raise SetupFailed(str(error)) from error

    def _lock(self, name: str) -> Path:
        return self.root / "requirements" / f"{name}.txt"

    def _make(self) -> None:
        print(f"run: making {self.name} (once)", file=sys.stderr, flush=True)
        if self.folder.is_symlink():
            self.folder.unlink()
        shutil.rmtree(self.folder, ignore_errors=True)
        recipe = self.recipe()
        venv.create(self.folder, with_pip=False, symlinks=True)
        pin = find_pin(self._lock("bootstrap").read_text(encoding="utf-8"), "pip")
        with pip.found(self.program("python"), pin) as command:
            checked = ["--require-hashes", "--only-binary=:all:"]
            if self.from_source:
                self._install(command, [*checked, *self._from(self.locks[:1])])
                checked += [f"--no-binary={','.join(self.from_source)}", "--no-build-isolation"]
            self._install(command, [*checked, *self._from(self.locks)])
        if self.with_project:
            self._install_project()
        unfinished = self.folder / f"{MARKER}.new"
        unfinished.write_text(recipe, encoding="utf-8")
        unfinished.replace(self.folder / MARKER)

    def _from(self, locks: tuple[str, ...]) -> list[str]:
        return [word for name in locks for word in ("-r", str(self._lock(name)))]

    def _install(self, command: pip.Command, words: list[str]) -> None:
        options = ["--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar=off"]
        environ = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
        done = subprocess.run(
            [*command, "install", *options, *words],
            cwd=self.root,
            env=environ,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SetupFailed(
                f"pip could not fill {self.name}:\n{done.stderr.rstrip()}\n"
                "Without a network, set PIP_FIND_LINKS to a folder with the wheels of "
                "requirements/*.txt, and PIP_NO_INDEX=1"
            )

    def _install_project(self) -> None:
        # "compat" puts the checkout itself on the path. setuptools' own way of doing it names
        # the project's packages one by one, and so hides twisted/plugins/ from twistd.
        command = [str(self.program("python")), "-m", "pip"]
        how = ["--no-deps", "--no-build-isolation", "--config-settings=editable_mode=compat"]
        self._install(command, [*how, "--no-index", "--editable", str(self.root)])


_MISLEADING = frozenset(
    {"PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV", "PYTHONHOME"}
)
"""Settings for other installations, which would lead packages past the environment."""


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other ./run of this checkout makes an environment."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("run: waiting for another ./run of this checkout", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


GATEWAY = Environment(".venv", ("bootstrap", "gateway", "test"), with_project=True)
TOOLS = Environment(".venv-tools", ("bootstrap", "gateway", "tools"))
CLIENTS = Environment(".venv-clients", ("bootstrap", "clients"))
BROWSER = Environment(
    ".venv-browser", ("bootstrap", "gateway", "test", "browser"), with_project=True
)
SCANNER = Environment(".venv-scanner", ("bootstrap", "scanner"), from_source=("sslyze",))
PROXIES = Environment(".venv-proxies", ("bootstrap", "proxies"))
GENERATORS = Environment(".venv-generators", ("bootstrap", "generators"))
BENCH = Environment(".venv-bench", ("bootstrap", "bench"))

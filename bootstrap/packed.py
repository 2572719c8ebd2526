"""What is built of a checkout, and the places where it is tried far from it."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import tarfile
import venv
from dataclasses import dataclass
from pathlib import Path

from bootstrap.environment import Environment, SetupFailed

PACKAGE = "toolforge_gateway"


@dataclass(frozen=True)
class Built:
    """The files of a release that are installed or unpacked."""

    sdist: Path
    wheel: Path


def build(source: Path, target: Path, tools: Environment, epoch: str | None) -> Built:
    """Build the source archive, and then the wheel of nothing but that archive.

    :param source: the files, without anything that was built of them before.
    :param target: an empty folder for both.
    :param tools: has `build` and setuptools in it.
    :param epoch: POSIX seconds that files are to bear as their time; None: the present.
    :raise SetupFailed: it could not be built.
    """
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if epoch is not None:
        environ["SOURCE_DATE_EPOCH"] = epoch
    command = [str(tools.program("python")), "-m", "build", "--no-isolation"]
    done = subprocess.run(
        [*command, "--outdir", str(target), str(source)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    sdists, wheels = list(target.glob("*.tar.gz")), list(target.glob("*.whl"))
    if done.returncode or len(sdists) != 1 or len(wheels) != 1:
        raise SetupFailed(f"could not be built:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return Built(sdists[0], wheels[0])


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack a source archive.

    :return: its one folder.
    """
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    [root] = folder.iterdir()
    return root


@dataclass(frozen=True)
class Room:
    """An interpreter that knows the libraries of the checkout's environment, but not the checkout.

    Path files in a folder that a path file names are not read: so the checkout that is installed
    in that environment stays out.
    """

    folder: Path

    @classmethod
    def make(cls, folder: Path, libraries: Environment) -> Room:
        """Make one."""
        venv.create(folder, with_pip=False, symlinks=True)
        room = cls(folder)
        borrowed = {_packages(libraries.folder, kind) for kind in ("purelib", "platlib")}
        path_file = Path(_packages(folder, "purelib"), "borrowed.pth")
        path_file.write_text("".join(f"{each}\n" for each in sorted(borrowed)), encoding="utf-8")
        return room

    @property
    def python(self) -> str:
        """The interpreter."""
        return str(self.folder / "bin" / "python")

    def install(self, wheel: Path, tools: Environment) -> None:
        """Install a wheel, and nothing else.

        :raise SetupFailed: pip does not want to.
        """
        command = [str(tools.program("python")), "-m", "pip", "--python", self.python, "install"]
        how = ["--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run(
            [*command, *how, str(wheel)],
            env=_clean(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SetupFailed(f"the wheel could not be installed:\n{done.stderr}")

    def origin(self, where: Path) -> str:
        """Where the package comes from for somebody who works in a folder; "" if from nowhere."""
        code = f"import {PACKAGE}; print({PACKAGE}.__file__)"
        done = subprocess.run(
            [self.python, "-c", code],
            cwd=where,
            env=self.environ(where),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip()

    def environ(self, where: Path) -> dict[str, str]:
        """The environment variables for that."""
        path = os.pathsep.join((str(self.folder / "bin"), os.environ.get("PATH", os.defpath)))
        return {**_clean(), "PYTHONPATH": str(where), "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def _packages(environment: Path, kind: str) -> str:
    base = str(environment)
    return sysconfig.get_path(kind, "venv", vars={"base": base, "platbase": base})

"""The container image of `Containerfile`: built where a builder and a base are to be had."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bootstrap import debian, pipconfig
from bootstrap.environment import ROOT

BASE = "docker.io/library/debian:bookworm-slim"
"""What `Containerfile` starts from."""
TAG = "localhost/toolforge-gateway:run-chart"
_STAND_IN = "localhost/run-chart-base"
_CERTIFICATES = "/etc/machine-certificates.pem"
_BUILD_TIME = 900
"""Seconds for a whole build."""


@dataclass(frozen=True)
class Image:
    """What came of it."""

    built: bool
    broken: bool
    """Whether `Containerfile` is to blame that there is none."""
    said: str
    """A sentence for whoever started it."""
    buildah: tuple[str, ...] = ()
    """The start of a command line that knows the image; empty when there is none."""


def build(folder: Path, pull: bool) -> Image:
    """Build the image, in a storage of its own.

    :param folder: for that storage; whoever deletes it deletes the image.
    :param pull: start from the real base image, from its registry; otherwise from a stand-in
        that is made of the same Debian packages.
    """
    if (program := _program("buildah")) is None:
        return Image(
            False,
            False,
            "NOT built: there is no buildah here, and it could not be installed "
            "(as root on Debian: apt-get install buildah)",
        )
    buildah = (program, f"--root={folder / 'storage'}", f"--runroot={folder / 'run'}")
    if pull:
        base, how = BASE, BASE
        code, output = _run([*buildah, "pull", "--quiet", BASE])
        if code:
            return Image(False, False, f"NOT built: {BASE} cannot be had: {_last_line(output)}")
    else:
        base = _STAND_IN
        how = f"a stand-in for {BASE} that mmdebstrap made of Debian's packages"
        why_not = _make_stand_in(buildah, folder)
        if why_not is not None:
            return Image(False, False, f"NOT built: {why_not}; `./run chart --pull` takes {BASE}")
    command = [*buildah, "build", "--isolation=chroot", "--pull-never", f"--tag={TAG}"]
    command += [f"--build-arg=BASE={base}", f"--build-arg=VERSION={_version()}", *_network(folder)]
    code, output = _run([*command, str(ROOT)])
    if code:
        return Image(False, True, f"BROKEN: the build from {how} failed:\n{output[-4000:]}")
    return Image(True, False, f"built, from {how}", buildah)


def _program(name: str) -> str | None:
    if shutil.which(name) is None:
        debian.install(name)
    return shutil.which(name)


def _make_stand_in(buildah: tuple[str, ...], folder: Path) -> str | None:
    """Make a base image without a registry of images.

    :return: None, or why that could not be done.
    """
    if os.geteuid() != 0:
        return "only root can make a base image with mmdebstrap"
    if (program := _program("mmdebstrap")) is None:
        return "there is no mmdebstrap to make a base image with"
    tree = folder / "base.tar"
    code, output = _run([program, "--quiet", "--variant=minbase", "bookworm", str(tree)])
    if code:
        return f"mmdebstrap failed: {_last_line(output)}"
    code, output = _run([*buildah, "from", "scratch"])
    container = output.strip()
    for step in (["add", "--quiet", container, str(tree), "/"], ["commit", container, _STAND_IN]):
        code, output = _run([*buildah, *step])
        if code:
            return f"buildah took no base image: {_last_line(output)}"
    tree.unlink()
    return None


def _network(folder: Path) -> list[str]:
    """What a build needs to reach the package index as this machine does; none of it stays in
    the image.

    :param folder: for a configuration of pip, with the places that a container reaches too.
    """
    config = pipconfig.read(os.environ)
    indexes = [index for index in config.indexes if not index.startswith("file:")]
    settings = {
        "index-url": indexes[0] if indexes else None,
        "extra-index-url": " ".join(indexes[1:]),
        "trusted-host": " ".join(config.trusted_hosts),
        "proxy": config.proxy,
        "cert": _CERTIFICATES if config.cert else None,
    }
    lines = [f"{name} = {value}" for name, value in settings.items() if value]
    file = folder / "pip.conf"
    file.write_text("\n".join(["[global]", *lines, ""]), encoding="utf-8")
    options = [f"--volume={file}:/etc/pip.conf:ro"]
    if config.cert:
        # Not in place of the container's own: their package wants to write those.
        options.append(f"--volume={Path(config.cert).resolve()}:{_CERTIFICATES}:ro")
    return options


def _version() -> str:
    text = (ROOT / "toolforge_gateway" / "_version.py").read_text(encoding="utf-8")
    return text.partition('__version__ = "')[2].partition('"')[0]


def _run(command: list[str], seconds: float = _BUILD_TIME) -> tuple[int, str]:
    """Run one program.

    :return: its exit code and all that it said; on success standard output alone.
    """
    # What a container's layers are made of: no kernel has to know how to stack them.
    environ = {**os.environ, "STORAGE_DRIVER": "vfs"}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        try:
            done = subprocess.run(
                command,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return 1, str(error)
        errors.seek(0)
        return done.returncode, done.stdout if not done.returncode else done.stdout + errors.read()


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else "no word why"

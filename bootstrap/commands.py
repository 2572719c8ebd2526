"""The commands of `./run`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence

from bootstrap import debian
from bootstrap.environment import CLIENTS, GATEWAY, ROOT, SCANNER, TOOLS, SetupFailed

HELP = """\
./run demo             a gateway with sample backends, and curl lines to try on it
./run demo --check     try those lines, say what came of it, and end
./run demo --prepare   only write the throw-away keys that etc/gateway.yaml names
./run test [NAME ...]  the tests, with trial: all, or tests.http.test_head, or trial's options
./run lint             style and types
./run tox [ARG ...]    tests with Debian 12's and with the newest libraries, and the built wheel
./run help             this text

Each makes what it needs first, in folders .venv*. Packages come from the
index that pip is configured for on this machine; their hashes are in requirements/.
"""

_REAL_PEERS = {"nginx": "nginx", "haproxy": "haproxy", "curl": "curl"}
"""Programs that tests put around the gateway, and Debian's packages of them."""


def main(argv: Sequence[str]) -> int:
    """Do what the command line says.

    :return: the exit code: 0 fine, 1 failed, 2 used wrongly or nothing to work with.
    """
    name, *rest = argv or ["help"]
    command = _COMMANDS.get(name)
    if command is None:
        print(f"run: there is no command {name!r}\n\n{HELP}", end="", file=sys.stderr)
        return 2
    try:
        return command(rest)
    except SetupFailed as error:
        print(f"run: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _help(_: list[str]) -> int:
    print(HELP, end="")
    return 0


def _demo(words: list[str]) -> int:
    GATEWAY.ensure()
    return _become([str(GATEWAY.program("toolforge-gateway")), "demo", *words])


def _test(words: list[str]) -> int:
    GATEWAY.ensure()
    environ = _with_real_peers()
    names = words if any(not word.startswith("-") for word in words) else [*words, "tests"]
    return subprocess.call([str(GATEWAY.program("trial")), *names], cwd=ROOT, env=environ)


def _with_real_peers() -> dict[str, str]:
    """Install the programs that tests run the gateway with, as far as that can be done here.

    :return: the environment variables by which tests find them.
    """
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        CLIENTS.ensure()
        environ["TOOLFORGE_CLIENTS_BIN"] = str(CLIENTS.folder / "bin")
    except SetupFailed as error:
        print(f"run: without the real Toolforge clients: {error}", file=sys.stderr)
    try:
        SCANNER.ensure()
        environ["TOOLFORGE_SCANNER_BIN"] = str(SCANNER.folder / "bin")
    except SetupFailed as error:
        print(f"run: without sslyze: {error}", file=sys.stderr)
    missing = [program for program in _REAL_PEERS if _which(program) is None]
    packages = [_REAL_PEERS[program] for program in missing]
    if missing and not debian.install(*packages):
        print(
            f"run: without {', '.join(missing)}: the tests that need them are skipped and say so; "
            f"as root: apt-get install {' '.join(packages)}",
            file=sys.stderr,
        )
    return environ


def _lint(_: list[str]) -> int:
    TOOLS.ensure()
    ruff = str(TOOLS.program("ruff"))
    checks = [
        [ruff, "check", "."],
        [ruff, "format", "--check", "."],
        [str(TOOLS.program("mypy"))],
    ]
    codes = [subprocess.call(check, cwd=ROOT) for check in checks]
    return 1 if any(codes) else 0


def _tox(words: list[str]) -> int:
    TOOLS.ensure()
    return subprocess.call([str(TOOLS.program("tox")), *words], cwd=ROOT, env=_with_real_peers())


def _which(program: str) -> str | None:
    """Where a program is; servers are in a folder that few people's PATH has."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
    return shutil.which(program, path=path)


def _become(command: list[str]) -> int:
    """Run one program in our place, so that signals reach it and its exit code is ours."""
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execv(command[0], command)


_COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "demo": _demo,
    "test": _test,
    "lint": _lint,
    "tox": _tox,
    "help": _help,
    "--help": _help,
    "-h": _help,
}

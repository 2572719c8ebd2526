"""The commands of `./run`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bootstrap import chart, debian, image, release
from bootstrap.environment import (
    BENCH,
    BROWSER,
    CLIENTS,
    GATEWAY,
    GENERATORS,
    PROXIES,
    ROOT,
    SCANNER,
    TOOLS,
    Environment,
    SetupFailed,
)
from bootstrap.trial import counted

HELP = """\
./run demo               a gateway with sample backends, and curl lines to try on it
./run demo --check       try those lines, say what came of it, and end
./run demo --prepare     only write the throw-away keys that etc/gateway.yaml names
./run test [NAME ...]    the tests, with trial: all, or tests.http.test_head, or trial's options
./run browser [NAME ...] the tests of the pages, in a real headless Chromium
./run lint               style and types
./run tox [ARG ...]      tests with Debian 12's and with the newest libraries, and the built wheel
./run bench [ARG ...]    this gateway beside nginx, HAProxy and Envoy; `--quick`, `--help`
./run soak [ARG ...]     ten minutes of good, slow, broken and hostile clients; `--minutes 1`
./run zeroloss [ARG ...] requests lost by reloads, rotations and restarts under load; `--help`
./run deb                the Debian package: built, judged, and tried in a machine that is booted;
                         `--build` boots nothing
./run chart [NAME ...]   the Helm chart, rendered and judged, and the container image, where it can
                         be built; `--no-image`, `--pull` for the real base image
./run release            source archive, wheel, bill of materials, tried and put into dist/;
                         `--check` only finds out, in a minute, whether that would do
./run help               this text

Each makes what it needs first, in folders .venv*. Packages come from the
index that pip is configured for on this machine; their hashes are in requirements/.
"""

_REAL_PEERS = {
    "nginx": "nginx",
    "haproxy": "haproxy",
    "curl": "curl",
    "promtool": "prometheus",
}
"""Programs that tests put around the gateway, or that judge it, and their Debian packages."""

_BROWSER = {
    "chromium": "chromium",
    "certutil": "libnss3-tools",
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf": "fonts-dejavu-core",
}
"""What pages are looked at with: the browser, what makes it trust an authority, and letters."""

_MEASURED = {
    "nginx": "nginx",
    "haproxy": "haproxy",
    "cc": "gcc libc6-dev",
    "/usr/include/openssl/ssl.h": "libssl-dev",
}
"""Programs that are measured beside the gateway, and what its load client is compiled with."""


def main(argv: Sequence[str]) -> int:
    """Do what the command line says.

    :return: the exit code: 0 fine, 1 failed, 2 used wrongly or nothing to work with.
    """
    name, *rest = argv or ["help"]
    command = _COMMANDS.get(name)
    if command is None:
        print(f"run: there is no command {name!r}\n\n{HELP}", end="", file=sys.stderr)
        return 2
    if name in _WITHOUT_HELP and {"--help", "-h"}.intersection(rest):
        return _help(rest)
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


def _browser(words: list[str]) -> int:
    # Not a part of `./run test`: Chromium and its driver are half a gigabyte.
    BROWSER.ensure()
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environ |= _folder_of(CLIENTS, "TOOLFORGE_CLIENTS_BIN", "the real Toolforge clients")
    needed = _BROWSER | {"curl": "curl"}
    _install_missing(needed, "the tests that need them are skipped and say so")
    named = any(not word.startswith("-") for word in words)
    names = words if named else [*words, "tests.browser"]
    return subprocess.call([str(BROWSER.program("trial")), *names], cwd=ROOT, env=environ)


def _with_real_peers() -> dict[str, str]:
    """Install the programs that tests run the gateway with, as far as that can be done here.

    :return: the environment variables by which tests find them.
    """
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environ |= _folder_of(CLIENTS, "TOOLFORGE_CLIENTS_BIN", "the real Toolforge clients")
    environ |= _folder_of(SCANNER, "TOOLFORGE_SCANNER_BIN", "sslyze")
    environ |= _folder_of(GENERATORS, "TOOLFORGE_GENERATORS_BIN", "the OpenAPI generators")
    environ |= _folder_of(PROXIES, "TOOLFORGE_PROXIES_BIN", "Caddy, Envoy and Traefik")
    _install_missing(_REAL_PEERS, "the tests that need them are skipped and say so")
    return environ


def _folder_of(environment: Environment, variable: str, what: str) -> dict[str, str]:
    """Make an environment that can be done without.

    :return: the variable by which others find its programs; nothing when it could not be made.
    """
    try:
        environment.ensure()
    except SetupFailed as error:
        print(f"run: without {what}: {error}", file=sys.stderr)
        return {}
    return {variable: str(environment.folder / "bin")}


def _install_missing(wanted: Mapping[str, str], without: str) -> None:
    """Install the Debian packages of programs and files that are not there.

    :param without: what becomes of it where that cannot be done.
    """
    missing = [name for name in wanted if _which(name) is None]
    packages = [package for name in missing for package in wanted[name].split()]
    if missing and not debian.install(*packages):
        print(
            f"run: without {', '.join(missing)}: {without}; "
            f"as root: apt-get install {' '.join(packages)}",
            file=sys.stderr,
        )


def _soak(words: list[str]) -> int:
    GATEWAY.ensure()
    return _become([str(GATEWAY.program("python")), "-m", "soak", *words])


def _zeroloss(words: list[str]) -> int:
    GATEWAY.ensure()
    return _become([str(GATEWAY.program("python")), "-m", "zeroloss", *words])


def _bench(words: list[str]) -> int:
    GATEWAY.ensure()
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environ |= _folder_of(BENCH, "TOOLFORGE_BENCH_BIN", "Envoy and the auth service")
    environ |= _debian12()
    _install_missing(_MEASURED, "what needs them is not measured, or by a slower load client")
    command = [str(GATEWAY.program("python")), "-m", "benchmarks", *words]
    return subprocess.call(command, cwd=ROOT, env=environ)


def _debian12() -> dict[str, str]:
    """Make tox's environment with Debian 12's libraries; the gateway is measured in it as well.

    :return: as `_folder_of`.
    """
    TOOLS.ensure()
    make = [str(TOOLS.program("tox")), "run", "-q", "-e", "debian12", "--notest"]
    if subprocess.call(make, cwd=ROOT, stdout=subprocess.DEVNULL):
        print("run: without Debian 12's libraries: tox could not install them", file=sys.stderr)
        return {}
    return {"TOOLFORGE_DEBIAN12_BIN": str(ROOT / ".tox" / "debian12" / "bin")}


def _deb(words: list[str]) -> int:
    from bootstrap import deb  # only Debian has what it needs

    return deb.main(words)


def _chart(words: list[str]) -> int:
    # Not a part of `./run test`: helm and its judges are a quarter of a gigabyte.
    options = {word for word in words if word in ("--no-image", "--pull")}
    words = [word for word in words if word not in options]
    GATEWAY.ensure()
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environ["TOOLFORGE_CHART_BIN"] = str(chart.ensure())
    with tempfile.TemporaryDirectory(prefix="run-image-") as folder:
        made = None
        if "--no-image" not in options:
            print("run: building the image", file=sys.stderr, flush=True)
            made = image.build(Path(folder), "--pull" in options)
            if made.built:
                environ["TOOLFORGE_IMAGE"] = json.dumps([*made.buildah, image.TAG])
        named = any(not word.startswith("-") for word in words)
        command = [str(GATEWAY.program("trial")), *words, *([] if named else ["tests.chart"])]
        good, wrong = counted(command, environ)
    if made is None:
        print("image: not asked for")
    else:
        print(f"image: {made.said}")
        good, wrong = good + made.built, wrong + (made.broken)
    print(f"{good} passed, {wrong} failed")
    return 1 if wrong or not good else 0


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


def _release(words: list[str]) -> int:
    return release.run(words)


def _tox(words: list[str]) -> int:
    TOOLS.ensure()
    return subprocess.call([str(TOOLS.program("tox")), *words], cwd=ROOT, env=_with_real_peers())


def _which(name: str) -> str | None:
    """Where a program is, or a file with its whole path; servers are in a folder that few
    people's PATH has."""
    if name.startswith("/"):
        return name if os.path.exists(name) else None
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
    return shutil.which(name, path=path)


def _become(command: list[str]) -> int:
    """Run one program in our place, so that signals reach it and its exit code is ours."""
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execv(command[0], command)


_WITHOUT_HELP = ("chart", "lint", "release")
"""The commands that would rather begin than tell of their options: `HELP` has all there are."""

_COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "demo": _demo,
    "bench": _bench,
    "browser": _browser,
    "soak": _soak,
    "zeroloss": _zeroloss,
    "test": _test,
    "lint": _lint,
    "release": _release,
    "chart": _chart,
    "deb": _deb,
    "tox": _tox,
    "help": _help,
    "--help": _help,
    "-h": _help,
}

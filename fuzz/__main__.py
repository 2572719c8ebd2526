"""Fuzz the targets one after another, and say what came of it: `python -m fuzz --help`."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from fuzz.targets import NAMES

KEPT = Path(__file__).resolve().parent / "corpus"
_PROGRESS = re.compile(rb"#(\d+)\s+[A-Za-z]+\s+cov: (\d+) ft: (\d+) corp: (\d+)/")
_LONGEST = 20
"""Seconds for one input; more is a finding too."""


@attrs.frozen
class Result:
    """What fuzzing one target came to."""

    name: str
    runs: int
    edges: int
    features: int
    inputs: int
    """In the corpus, those that were kept before included."""
    found: tuple[Path, ...]
    """Inputs for which a property does not hold."""
    ended: int
    """libFuzzer's exit code."""


def main(argv: Sequence[str]) -> int:
    """Do what the command line says.

    :return: the exit code: 0 nothing was found, 1 something was, 2 used wrongly.
    """
    options = _parser().parse_args(argv)
    results = []
    for name in options.targets or NAMES:
        print(f"fuzz: {name}, {options.seconds} s", flush=True)
        results.append(_fuzz(name, options.seconds, options.folder.resolve()))
        print(_row(results[-1]), flush=True)
    print("\n".join(["", _HEADER, *map(_row, results)]))
    for result in results:
        for path in result.found:
            print(f"{result.name}: a property does not hold for {path}, see log beside it")
    return 1 if any(result.found or result.ended for result in results) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(NAMES))
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(".fuzz"),
        help="where new inputs and findings go, and are taken up again (.fuzz)",
    )
    return parser


def _fuzz(name: str, seconds: int, folder: Path) -> Result:
    place = folder / name
    (place / "corpus").mkdir(parents=True, exist_ok=True)
    before = set(place.glob("*-*"))
    log = place / "log"
    command = [sys.executable, "-m", "fuzz.one", name]
    command += [f"-max_total_time={seconds}", f"-timeout={_LONGEST}", "-max_len=4096"]
    command += [f"-artifact_prefix={place}/", str(place / "corpus"), str(KEPT / name)]
    with log.open("wb") as output:
        ended = subprocess.call(command, stdout=output, stderr=subprocess.STDOUT)
    progress = _PROGRESS.findall(log.read_bytes())
    runs, edges, features, inputs = map(int, progress[-1]) if progress else (0, 0, 0, 0)
    found = tuple(sorted(set(place.glob("*-*")) - before))
    return Result(name, runs, edges, features, inputs, found, ended)


_HEADER = f"{'target':16}{'runs':>12}{'edges':>8}{'features':>10}{'inputs':>8}{'findings':>10}"


def _row(result: Result) -> str:
    findings = len(result.found) if result.found or not result.ended else "failed"
    return (
        f"{result.name:16}{result.runs:>12}{result.edges:>8}{result.features:>10}"
        f"{result.inputs:>8}{findings:>10}"
    )


sys.exit(main(sys.argv[1:]))

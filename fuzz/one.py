"""One target under atheris: `python -m fuzz.one NAME [option of libFuzzer ...]`."""

from __future__ import annotations

import importlib
import sys

import atheris

from fuzz.targets import NAMES


def main() -> None:
    """Fuzz until libFuzzer's options say stop, or something is found."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in NAMES:
        sys.exit(f"fuzz.one: the targets are {', '.join(NAMES)}")
    # Our own checks are instrumented too: their branches tell the fuzzer what
    # a compiled expression hides.
    with atheris.instrument_imports(include=["toolforge_gateway", "fuzz", "yaml"]):
        target = importlib.import_module(f"fuzz.targets.{name}")
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target.check)
    atheris.Fuzz()


main()

"""The fuzz targets' properties, for the inputs that are kept."""

from __future__ import annotations

import importlib
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import fuzz
from fuzz.targets import NAMES

CORPUS = Path(fuzz.__file__).resolve().parent / "corpus"


class CorpusTests(SynchronousTestCase):
    """What the fuzzer starts from, and what it has found before."""

    def test_every_kept_input(self) -> None:
        """Each property holds for each input, with any version of the libraries."""
        for name in NAMES:
            check = importlib.import_module(f"fuzz.targets.{name}").check
            inputs = sorted((CORPUS / name).iterdir())
            self.assertTrue(inputs, f"nothing is kept for {name}")
            for path in inputs:
                try:
                    check(path.read_bytes())
                except Exception as error:
                    self.fail(f"{name}/{path.name}: {error!r}")

    def test_no_input_of_no_target(self) -> None:
        """Every folder of inputs belongs to a target, and there is not much in all of them."""
        self.assertEqual({path.name for path in CORPUS.iterdir()}, set(NAMES))
        sizes = [path.stat().st_size for path in CORPUS.glob("*/*")]
        self.assertLess(sum(sizes), 300_000)

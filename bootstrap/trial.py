"""Running trial, and what it counted."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bootstrap.environment import ROOT

_SUM = re.compile(r"^(?:PASSED|FAILED)(?: \((?P<counts>.*)\))?$", re.MULTILINE)
"""Its last line: `FAILED (skips=1, failures=2, successes=3)`."""
_WRONG = ("failures", "errors", "unexpectedSuccesses")


def counted(
    command: Sequence[str], environ: Mapping[str, str], where: Path = ROOT
) -> tuple[int, int]:
    """Run trial, and show what it says.

    :param command: the whole command line.
    :param where: the folder to run it in.
    :return: how many tests passed, and how many did not; a run that ended badly has at least
        one that did not.
    """
    with subprocess.Popen(
        command, cwd=where, env=dict(environ), stdout=subprocess.PIPE, text=True, errors="replace"
    ) as running:
        assert running.stdout is not None, "it is a pipe"
        said = []
        for line in running.stdout:
            sys.stdout.write(line)
            said.append(line)
    good, wrong = counts("".join(said[-5:]))
    return good, wrong or (1 if running.returncode else 0)


def counts(said: str) -> tuple[int, int]:
    """What trial's last lines say: tests that passed, and that did not."""
    found = list(_SUM.finditer(said))
    if not found:
        return 0, 1
    pairs = re.findall(r"(\w+)=(\d+)", found[-1]["counts"] or "")
    number = {name: int(digits) for name, digits in pairs}
    return number.get("successes", 0), sum(number.get(name, 0) for name in _WRONG)

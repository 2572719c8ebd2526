"""`./run bench --profile`: the gateway alone, sampled under each load, and the tables of it."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measures import MEASURES, Figures, Measure, Surroundings
from benchmarks.peers.gateway import Gateway
from benchmarks.processes import system_share
from benchmarks.profile.stacks import shares
from benchmarks.stage import Stage
from benchmarks.table import markdown, number

PROFILED = ("keep-alive", "connect", "download", "upload")
SHOWN = 24
"""Lines of each table."""


class SampledGateway(Gateway):
    """The gateway in a process that counts what it does."""

    name = "sampled"

    def __init__(self, stage: Stage):
        super().__init__(stage)
        self.samples = self.folder / "samples.json"

    def twistd(self) -> list[str]:
        """See `Gateway`."""
        sampler = Path(__file__).with_name("sampler.py")
        python, *program = super().twistd()
        return [python, str(sampler), str(self.samples), *program]


def profile(around: Surroundings, only: Sequence[str] | None) -> int:
    """Print a table per load.

    :return: the exit code.
    """
    gateway = SampledGateway(around.stage)
    for measure in MEASURES:
        if measure.name not in (only or PROFILED):
            continue
        print(f"bench: sampling {measure.name}", file=sys.stderr, flush=True)
        gateway.start()
        try:
            # What is done once, and then kept, belongs to no request.
            measure.run(gateway, around)
            before = system_share(gateway.pids)
            gateway.signal(signal.SIGUSR1)
            figures = measure.run(gateway, around)
            after = system_share(gateway.pids)
        finally:
            gateway.end()
        user, system = after[0] - before[0], after[1] - before[1]
        _print(measure, figures, system / max(1, user + system), gateway.samples)
    return 0


def _print(measure: Measure, figures: Figures, kernel: float, samples: Path) -> None:
    cost = figures[measure.key]
    stacks = json.loads(samples.read_text(encoding="utf-8"))
    print(
        f"\n{measure.title}: {number(cost)} {measure.unit} each while sampled, "
        f"{kernel:.0%} of it in the kernel\n"
    )
    for heading, by_function in (("part", False), ("function", True)):
        found = shares(stacks, by_function=by_function)
        lines = [[heading, "share", measure.unit]]
        lines += [
            [each.where, f"{each.share:.1%}", number(each.share * cost)] for each in found[:SHOWN]
        ]
        print(markdown(lines), end="\n\n")
    print(
        f"{sum(each.samples for each in shares(stacks))} samples", time.strftime("%Y-%m-%d %H:%M")
    )

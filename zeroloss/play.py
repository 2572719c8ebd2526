"""One run: load, changes, and what is wrong with what came of it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from zeroloss.changes import Changes, Unseen
from zeroloss.clients import KINDS
from zeroloss.judge import Ledger
from zeroloss.load import Load
from zeroloss.stage import Stage


@attrs.frozen
class Plan:
    """What is to be changed, and how often."""

    workers: int | None
    """What the configuration says of them; None: nothing."""
    reloads: int = 0
    """Those that must leave everything as it is included."""
    rotations: int = 0
    restarts: int = 0
    calm: float = 2.0
    """Seconds of load before the first change and after the last."""
    stream: float = 3.0
    """Seconds that streams and slow bodies last at most."""


async def play(folder: Path, plan: Plan, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Run a gateway and its load, change it, and end it.

    :param folder: empty, with a short path, as a Unix socket is put into it.
    :param say: told what is going on.
    :return: the report.
    :raise RuntimeError: the gateway does not start.
    """
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # of peers that went away
    stage = Stage(folder, plan.workers)
    await stage.start()
    start = time.monotonic()
    ledger = Ledger(start)

    def tell(what: str) -> None:
        say(f"{time.monotonic() - start:.2f} s: {what}")

    load = Load(ledger, seed, plan.stream)
    changes = Changes(stage, load, random.Random(f"{seed} changes"), tell)
    unseen = []
    try:
        for number, port in enumerate(stage.listeners):
            load.begin(f"listener {number}", stage.target(port))
        await asyncio.sleep(plan.calm)
        await _change(changes, plan)
        await asyncio.sleep(plan.calm)
    except Unseen as error:
        unseen.append(str(error))
    finally:
        await load.end()
        code = await stage.stop()
    return {
        **ledger.report(),
        "seconds": round(time.monotonic() - start, 1),
        "seed": seed,
        "plan": attrs.asdict(plan),
        "made": dict(changes.made),
        "unseen": unseen,
        "faults": stage.witness.faults,
        "exit_code": code,
        "log": stage.gateway.log(),
    }


async def _change(changes: Changes, plan: Plan) -> None:
    halves = (plan.rotations + 1) // 2, plan.rotations // 2

    async def rotate(number: int) -> None:
        for _ in range(halves[number]):
            await changes.rotate(number)

    # Both listeners at a time: what takes longest is to wait until the gateway notices.
    await asyncio.gather(rotate(0), rotate(1))
    for number in range(plan.reloads):
        match number % 20:
            case 1 | 5 | 11 | 15:
                await changes.refuse()
            case 3 | 13:
                await changes.reload(changes.move_backend)
            case 4:
                await changes.add_listener()
            case 7 | 17:
                await changes.reload(changes.change_limits)
            case 8:
                await changes.remove_listener()
            case _:
                await changes.reload(changes.nothing)
    for _ in range(plan.restarts):
        await changes.restart()
    if plan.restarts:
        await changes.former_gone()


def complaints(report: dict[str, Any]) -> list[str]:
    """Why a run has not passed; nothing: it has.

    :param report: of `play`.
    """
    plan = report["plan"]
    found = [f"LOST: {loss}" for loss in report["losses"]]
    if (hidden := sum(report["lost"].values()) - len(found)) > 0:
        found.append(f"... and {hidden} more lost")
    found += [f"not seen: {what}" for what in report["unseen"]]
    found += report["faults"]
    found += [f"nothing was asked: {kind}" for kind in KINDS if not report["right"].get(kind)]
    made = report["made"]
    for what, number in (
        ("reloads", made.get("reloads", 0) + made.get("refused reloads", 0)),
        ("rotations", made.get("rotations", 0)),
        ("restarts", made.get("restarts", 0)),
    ):
        if number != plan[what]:
            found.append(f"{number} {what} were seen in place of {plan[what]}")
    if report["exit_code"] != 0:
        found.append(f"the gateway ended with {report['exit_code']}")
    for word in ("Traceback", "Unhandled", "Unexpected error"):
        if word in report["log"]:
            at = report["log"].index(word)
            found.append(f"{word!r} in its log: {report['log'][max(0, at - 300) : at + 1500]}")
    return found

"""Asking a gateway that runs: `reload`, `restart`, `state` and `explain --live`."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred

from toolforge_gateway.control import commands
from toolforge_gateway.control.ask import Unanswered, ask
from toolforge_gateway.control.commands import Report
from toolforge_gateway.explain import Explanation

DONE, NOT_DONE = 0, 1


async def _reload(reactor: Any, socket: Path, patience: float, _: object) -> int:
    answer = await ask(reactor, socket, patience, commands.Reload)
    return _show(_report(answer), "reloaded")


async def _restart(reactor: Any, socket: Path, patience: float, _: object) -> int:
    answer = await ask(reactor, socket, patience, commands.Restart)
    return _show(_report(answer), "restarted")


async def _state(reactor: Any, socket: Path, patience: float, _: object) -> int:
    answer = await ask(reactor, socket, patience, commands.State)
    for name, value in answer["state"].items():
        for number, line in enumerate(value if isinstance(value, list) else [value]):
            print(f"{name + ':' if not number else '':15}{'none' if line is None else line}")
    return DONE


async def _explain(reactor: Any, socket: Path, patience: float, question: Any) -> int:
    answer = await ask(reactor, socket, patience, commands.Explain, question=question.said())
    return show_explanation(Explanation.heard(answer["explanation"]))


def show_explanation(explanation: Explanation) -> int:
    """Print it.

    :return: the exit code.
    """
    print(*explanation.lines, sep="\n")
    return DONE if explanation.allowed else NOT_DONE


def _report(answer: dict[str, Any]) -> Report:
    try:
        return Report.heard(answer["report"])
    except (KeyError, TypeError):
        raise Unanswered("the gateway answered in words of another version") from None


def _show(report: Report, done: str) -> int:
    for complaint in report.complaints:
        print(complaint, file=sys.stderr)
    for worker in report.workers:
        print(worker)
    if report.good:
        print(f"{done}: configuration {report.version} is in force")
        return DONE
    print(f"not {done}: configuration {report.version} stays in force", file=sys.stderr)
    return NOT_DONE


Lead = Callable[[Any, Path, float, Any], Deferred[int]]


def _deferring(lead: Callable[[Any, Path, float, Any], Awaitable[int]]) -> Lead:
    def begin(reactor: Any, socket: Path, patience: float, question: Any) -> Deferred[int]:
        return ensureDeferred(lead(reactor, socket, patience, question))  # type: ignore[arg-type]

    return begin


LED: dict[str, Lead] = {
    "reload": _deferring(_reload),
    "restart": _deferring(_restart),
    "state": _deferring(_state),
    "explain": _deferring(_explain),
}
"""What each command does.

Called with the reactor, the socket, the seconds to wait, and for `explain` its question; fires
with the exit code, or fails with `Unasked` or `Unanswered`.
"""

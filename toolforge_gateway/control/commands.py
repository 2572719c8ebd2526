"""What can be asked over the control socket.

An answer is a mapping, so that the gateway and the command line may be of
different versions while one of them is being upgraded: who reads it asks for what it knows.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.protocols.amp import Command

from toolforge_gateway.control.long import Json


@attrs.frozen
class Report:
    """What came of a reload or a restart."""

    good: bool
    """Whether it was done; otherwise everything is as it was."""
    version: str
    """Of the configuration that is in force now."""
    complaints: tuple[str, ...] = ()
    """Why not, each a line for a person."""
    workers: tuple[str, ...] = ()
    """How each worker is now, a line for a person; empty without a supervisor."""

    def said(self) -> dict[str, Any]:
        """As it goes over the socket."""
        return attrs.asdict(self)

    @classmethod
    def heard(cls, said: dict[str, Any]) -> Report:
        """From there."""
        return cls(
            good=bool(said["good"]),
            version=str(said["version"]),
            complaints=tuple(map(str, said.get("complaints", ()))),
            workers=tuple(map(str, said.get("workers", ()))),
        )


class Impossible(Exception):
    """What was asked for cannot be done here; says why in a sentence."""


class Reload(Command):
    """Read the configuration, and all that it names, again; answered when it is in force, or not.

    The report is `Report.said()`.
    """

    response = [(b"report", Json())]
    errors = {Impossible: b"IMPOSSIBLE"}


class Restart(Command):
    """Have new processes take over; answered when they have, or cannot."""

    response = [(b"report", Json())]
    errors = {Impossible: b"IMPOSSIBLE"}


class Explain(Command):
    """Ask what would become of a request, of the state that is in force."""

    arguments = [(b"question", Json())]
    """`explain.Question.said()`"""
    response = [(b"explanation", Json())]
    """`explain.Explanation.said()`"""
    errors = {Impossible: b"IMPOSSIBLE"}


class State(Command):
    """Ask how things are: a mapping of names to what a person may want to know."""

    response = [(b"state", Json())]
    errors = {Impossible: b"IMPOSSIBLE"}

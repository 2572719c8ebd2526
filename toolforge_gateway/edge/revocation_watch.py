"""Looks at revocation lists again and again while the gateway runs."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from toolforge_gateway.deadlines import Deadlines
from toolforge_gateway.edge.server import Server

INTERVAL = 10.0
"""Seconds between two looks at the files."""


@attrs.define(eq=False)
class RevocationWatch:
    """Has one listener's lists taken up, and its callers judged by them.

    :param refresh: takes up lists whose files have changed; True: there are
        new ones.
    """

    refresh: Callable[[], bool]
    server: Server
    deadlines: Deadlines
    deadline: float | None = None

    def start(self) -> None:
        """Begin to look."""
        self.deadline = self.deadlines.seconds() + INTERVAL
        self.deadlines.watch(self)

    def stop(self) -> None:
        """Look no more."""
        self.deadlines.forget(self)

    def deadline_passed(self) -> None:
        """Called by `Deadlines`."""
        self.deadline = self.deadlines.seconds() + INTERVAL
        if self.refresh():
            self.server.examine_again()

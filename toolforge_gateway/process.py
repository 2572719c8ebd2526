"""What lasts as long as the process, whatever configuration is in force.  Layer 5."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.threads import deferToThreadPool

from toolforge_gateway.deadlines import Deadlines
from toolforge_gateway.edge.admission import Addresses, Entrance, TurnedAway, Turnstile
from toolforge_gateway.edge.handshakes import FailedHandshakes
from toolforge_gateway.edge.request_ids import RequestIds
from toolforge_gateway.edge.tree import refuse
from toolforge_gateway.overview import Overview
from toolforge_gateway.pages.assets import Assets
from toolforge_gateway.pages.frame import Frame
from toolforge_gateway.tls.watch import RotationWatch
from toolforge_gateway.transport.choice import Transports

NEW_OBJECTS = 20_000
"""How many more objects there may be than at the last time before Python looks for garbage."""


@attrs.define(eq=False)
class Process:
    """One running gateway: its clock, its counters, what its doors have in common."""

    reactor: Any
    transports: Transports
    deadlines: Deadlines
    overview: Overview
    connections: Entrance
    """The clients that are connected."""
    addresses: Addresses
    """The same, each address by itself."""
    handshakes: FailedHandshakes
    """Those that broke off."""
    running: Turnstile
    """The exchanges under way."""
    frame: Frame
    """What pages look like."""
    new_request_id: Callable[[], str]
    rotation: RotationWatch
    """Has certificates, keys, authorities and revocation lists taken up that were replaced."""
    leaving: bool = False
    """Whether it is about to end: load balancers should ask others."""

    @classmethod
    def of(cls, reactor: Any, transports: Transports | None = None) -> Process:
        """A process that begins.

        :param transports: puts TLS under connections; by default the faster way that the
            reactor allows.
        """
        deadlines = Deadlines(reactor)
        return cls(
            reactor=reactor,
            transports=transports or Transports(reactor),
            deadlines=deadlines,
            overview=Overview(reactor),
            connections=Entrance(0, turned_away=TurnedAway("connections", deadlines.seconds)),
            addresses=Addresses(TurnedAway("connections_per_address", deadlines.seconds)),
            handshakes=FailedHandshakes(),
            running=Turnstile(0),
            frame=Frame(Assets("/docs/assets", refuse)),
            new_request_id=RequestIds(),
            rotation=RotationWatch(
                deadlines, lambda work: deferToThreadPool(reactor, reactor.getThreadPool(), work)
            ),
        )


def look_for_garbage_seldom() -> None:
    """Tell Python's cyclic garbage collector about this program.

    What belongs to a request refers to each other in one direction only, and is gone with it; a
    dozen requests at once already have Python look through all of it again and again, for nothing.
    """
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)

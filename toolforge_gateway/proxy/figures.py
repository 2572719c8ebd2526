"""How a backend's addresses and its queue are at one moment, as plain values.

`Pool.figures()` makes them.  They are for whoever shows or exports them (`/status`, `/metrics`),
and cost nothing until somebody asks.  Times are POSIX seconds; what counts up counts since the
process began, or since the address was first known.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class AddressFigures:
    """One address of a backend."""

    host: str
    """An IP address."""
    port: int
    state: str
    """`up`, `ejected` (spared after failures) or `failing-checks` (by active checks)."""
    ejected_until: float | None
    """When it is tried again; None when it is not ejected."""
    failures: int
    """In a row, up to now."""
    last_error: str
    """Reason word of the latest failure; "" when there was none."""
    last_error_at: float | None
    checked_at: float | None
    """The latest active check; None when there was none."""
    busy: int
    """Connections in use or being made."""
    idle: int
    """Connections that are kept for the next request."""
    dials: int
    """Connections begun; counts up."""
    all_failures: int
    """Counts up."""
    all_ejections: int
    """Counts up."""


@attrs.frozen
class PoolFigures:
    """One backend."""

    backend: str
    """Its name."""
    addresses: tuple[AddressFigures, ...]
    """In the order of their names; empty until a name was looked up."""
    limit: int
    """Requests at once."""
    taken: int
    """Of that: connections in use, kept or being made."""
    queued: int
    """Requests that wait for a place."""
    queue: int
    """How many may wait."""
    turned_away: int
    """Requests that found the queue full; counts up."""
    waited_in_vain: int
    """Requests that waited for too long; counts up."""
    looked_up_at: float | None
    """The latest good answer to the look-up of a name; None when there was none, or no name."""
    look_up_failures: int
    """In a row, up to now."""

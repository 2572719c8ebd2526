"""From what the parts of the gateway know of themselves to figures.  Layer 5.

`observe` knows neither pools nor certificates; who has them does not know `observe`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from toolforge_gateway.observe import catalogue
from toolforge_gateway.observe.catalogue import Measure
from toolforge_gateway.observe.figures import (
    Address,
    Expiry,
    Figures,
    Files,
    Labels,
    Ledger,
    Number,
    Numbers,
)
from toolforge_gateway.proxy.figures import AddressFigures, PoolFigures
from toolforge_gateway.proxy.pool import Pool
from toolforge_gateway.tls.watch import RotationWatch

_STATES = ("up", "ejected", "failing-checks")


def expiries(rotation: RotationWatch) -> Mapping[str, Expiry]:
    """What runs out, by what it is: worked out each time, since files are replaced while we run."""
    found = rotation.what_runs_out()
    return {
        each.name: Expiry(each.kind, each.subject, each.ends, each.group or "") for each in found
    }


def files(rotation: RotationWatch) -> Mapping[tuple[str, str], Files]:
    """How it stands with the files of TLS."""
    return {
        (each.place, each.name): Files(each.since, each.failing_since, each.failure or "")
        for _, each in rotation.states()
    }


class PoolBook:
    """Tells the figures of the ways to the backends.

    What pools and their addresses have counted stays when they are no more: a configuration that
    is taken up makes new pools, and a name leads to other addresses tomorrow.
    """

    def __init__(self) -> None:
        self._pools: Sequence[Pool] = ()
        self._ledger = Ledger()

    def adopt(self, pools: Sequence[Pool]) -> None:
        """Tell of these from now on."""
        self._look()
        self._pools = tuple(pools)

    def numbers(self) -> Numbers:
        """All numbers, by measure."""
        self._look()
        return self._ledger.whole().numbers

    def addresses(self) -> Mapping[tuple[str, str], Address]:
        """Each address by its backend's name and what it is."""
        return {
            (figures.backend, _where(each)): _address(each)
            for figures in (pool.figures() for pool in self._pools)
            for each in figures.addresses
        }

    def _look(self) -> None:
        there: set[object] = set()
        for pool in self._pools:
            figures = pool.figures()
            # Its places, and how an address has fared, are passed on from pool to pool; what a
            # pool has dialled is its own.
            told: list[tuple[object, Numbers]] = [
                (pool, _of_pool(figures)),
                (figures.backend, _of_places(figures)),
            ]
            for each in figures.addresses:
                told += [
                    ((pool, each.host, each.port), _of_dials(figures.backend, each)),
                    ((figures.backend, each.host, each.port), _of_failures(figures.backend, each)),
                ]
            for key, counted in told:
                there.add(key)
                self._ledger.told(key, Figures(counted))
        self._ledger.only(there)


def _of_pool(figures: PoolFigures) -> Numbers:
    backend = figures.backend
    states = [each.state for each in figures.addresses]
    idle = sum(each.idle for each in figures.addresses)

    def one(measure: Measure, number: float) -> tuple[str, Mapping[Labels, Number]]:
        return measure.name, {(backend,): number}

    return dict(
        [
            one(catalogue.UPSTREAM_LIMIT, figures.limit),
            one(catalogue.UPSTREAM_QUEUE, figures.queued),
            one(catalogue.UPSTREAM_QUEUE_LIMIT, figures.queue),
            one(catalogue.UPSTREAM_LOOKUP_FAILURES, figures.look_up_failures),
            # Addresses may be unknown as yet: nought is a number too.
            one(catalogue.UPSTREAM_DIALS, 0),
            one(catalogue.UPSTREAM_FAILURES, 0),
            one(catalogue.UPSTREAM_EJECTIONS, 0),
            (
                catalogue.UPSTREAM_ADDRESSES.name,
                {(backend, state): states.count(state) for state in _STATES},
            ),
            (
                catalogue.UPSTREAM_CONNECTIONS.name,
                # Those that the pool before still has are among them.
                {(backend, "busy"): figures.taken - idle, (backend, "idle"): idle},
            ),
        ]
    )


def _of_places(figures: PoolFigures) -> Numbers:
    return {
        catalogue.UPSTREAM_TURNED_AWAY.name: {
            (figures.backend, "queue-full"): figures.turned_away,
            (figures.backend, "waited-too-long"): figures.waited_in_vain,
        }
    }


def _of_dials(backend: str, each: AddressFigures) -> Numbers:
    return {catalogue.UPSTREAM_DIALS.name: {(backend,): each.dials}}


def _of_failures(backend: str, each: AddressFigures) -> Numbers:
    return {
        catalogue.UPSTREAM_FAILURES.name: {(backend,): each.all_failures},
        catalogue.UPSTREAM_EJECTIONS.name: {(backend,): each.all_ejections},
    }


def _address(each: AddressFigures) -> Address:
    return Address(
        state=each.state,
        failures=each.failures,
        last_failure=each.last_error,
        last_failure_at=each.last_error_at,
        ejected_until=each.ejected_until,
        busy=each.busy,
        idle=each.idle,
    )


def _where(each: AddressFigures) -> str:
    return f"[{each.host}]:{each.port}" if ":" in each.host else f"{each.host}:{each.port}"

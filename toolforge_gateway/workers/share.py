"""What one worker of several goes by: limits are totals, and each gets its share."""

from __future__ import annotations

import attrs

from toolforge_gateway.config.values import Configuration


def share_of(configuration: Configuration, index: int, count: int) -> Configuration:
    """The configuration of one worker.

    :param index: from 0.
    :param count: how many workers there are.
    """
    limits = configuration.limits
    each_address = limits.connections_per_address
    return attrs.evolve(
        configuration,
        limits=attrs.evolve(
            limits,
            connections=part(limits.connections, index, count),
            requests=part(limits.requests, index, count),
            # Nobody knows which worker the connections of an address come to.
            connections_per_address=None if each_address is None else -(-each_address // count),
        ),
        backends=tuple(
            attrs.evolve(
                backend,
                limits=attrs.evolve(
                    backend.limits,
                    requests=part(backend.limits.requests, index, count),
                    queue=part(backend.limits.queue, index, count) if backend.limits.queue else 0,
                ),
            )
            for backend in configuration.backends
        ),
    )


def part(total: int, index: int, count: int) -> int:
    """One of `count` parts that make up `total`, as equal as may be, and at least 1: where there
    are more workers than the total, it is exceeded."""
    return max(1, total // count + (index < total % count))

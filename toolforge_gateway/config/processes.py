"""The keys `control` and `workers`: how the gateway's processes are led."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Literal, cast

from toolforge_gateway.config.options import Options, shown
from toolforge_gateway.config.values import Control, Workers

MOST_WORKERS = 256

LONGEST_SOCKET = 103
"""Bytes of its path: the kernel takes 107, and it is made under a longer name."""

HOLDABLE = ("tcp", "tcp6", "unix", "systemd")
"""Kinds of endpoints whose socket one process can open and others accept from."""


def read_control(options: Options) -> Control | None:
    """The key `control`."""
    section = options.section("control")
    if section is None:
        return None
    path = section.file("socket", required=True)
    if path is None:
        return None
    length = len(os.fsencode(path))
    if length > LONGEST_SOCKET:
        section.complain(
            "socket",
            f"is a path of {length} bytes with its folder, too long for a Unix socket",
            f"choose one of at most {LONGEST_SOCKET}, such as /run/toolforge-gateway/control",
        )
        return None
    return Control(path, section.origin_of("socket"))


def read_workers(options: Options) -> Workers | None:
    """The key `workers`."""
    value = options.raw("workers") if options.has("workers") else None
    if isinstance(value, str) and value != "auto":
        options.complain(
            "workers", f"is {shown(value)}", f"write a number from 1 to {MOST_WORKERS}, or auto"
        )
        return None
    number = value
    if value != "auto":
        number = options.whole("workers", minimum=1, maximum=MOST_WORKERS)
    if number is None:
        return None
    return Workers(cast('int | Literal["auto"]', number), options.origin_of("workers"))


def warn_of_shares(workers: Workers, options: Options) -> None:
    """Warn of limits that are too small to be shared by so many workers.

    :param options: the whole file.
    """
    shared = [(options, "connections"), (options, "requests")]
    shared += [(backend, "requests") for backend in options.sections("backends")]
    for section, key in shared:
        limits, number = section.section("limits"), workers.number
        total = None if limits is None else limits.raw(key)
        if limits is not None and isinstance(total, int) and number != "auto" and total < number:
            limits.warn(
                key,
                f"is {total}, and each of {number} workers has at least 1 of it: together {number}",
                "have fewer workers, or a larger number here",
            )


def check_holdable(sections: Iterable[Options]) -> None:
    """Complain about endpoints that workers cannot share.

    :param sections: those with an `endpoint`.
    """
    for section in sections:
        endpoint = section.raw("endpoint")
        if isinstance(endpoint, str) and endpoint.partition(":")[0] not in HOLDABLE:
            section.complain(
                "endpoint",
                f"{shown(endpoint)} cannot be shared by workers",
                f"write one that begins with {', '.join(HOLDABLE[:-1])} or {HOLDABLE[-1]}, or "
                "remove the key workers",
            )

"""How one backend is reached: its addresses, how much it is given at once, how it is checked."""

from __future__ import annotations

import attrs

from toolforge_gateway.config.backend import BackendLimits, Checks, UpstreamAddress
from toolforge_gateway.config.options import Options, shown
from toolforge_gateway.config.urls import fault_of_path, split_authority
from toolforge_gateway.config.values import Limits

MOST_ADDRESSES = 256
"""Of one list: more is no list that somebody wrote."""
REFRESH = (1, 86_400)
"""Seconds between two look-ups of a name."""
LIMIT_RANGES = {"requests": (1, 1_000_000), "queue": (0, 1_000_000)}
"""Smallest and largest."""
ENOUGH = 64
"""Requests that one backend may have however few there may be in all."""


def read_addresses(options: Options, port: int | None) -> tuple[UpstreamAddress, ...]:
    """The key `addresses`.

    :param port: of the backend's URL, for those that have none; None: that has no good one.
    """
    found: dict[UpstreamAddress, None] = {}
    if options.raw("addresses") == []:
        options.complain("addresses", "is empty", "add an address, or remove the key")
    texts = options.texts("addresses")
    if len(texts) > MOST_ADDRESSES:
        options.complain(
            "addresses", f"has {len(texts)} entries", f"write {MOST_ADDRESSES} or fewer"
        )
        return ()
    for n, text in enumerate(texts):
        address = split_authority(text, port or 443)
        if isinstance(address, str):
            options.complain(
                ("addresses", n),
                f"{shown(text)} {address}",
                "write host or host:port, IPv6 in brackets: [2001:db8::1]:8443",
            )
        elif address in found:
            options.complain(("addresses", n), f"{shown(text)} is there twice", "remove one")
        else:
            found[address] = None
    return tuple(found)


def read_dns_refresh(options: Options) -> float:
    """The key `dns_refresh`."""
    default = 30.0
    value = options.number("dns_refresh", default, minimum=REFRESH[0], maximum=REFRESH[1])
    return default if value is None else value


def read_backend_limits(options: Options, general: Limits) -> BackendLimits:
    """The key `limits` of a backend.

    By default one backend may have half of all requests and an eighth of them waiting, so that
    others are served when it hangs.
    """
    limits = BackendLimits(
        requests=max(general.requests // 2, min(general.requests, ENOUGH)),
        queue=max(general.requests // 8, min(general.requests, ENOUGH)),
    )
    section = options.section("limits")
    if section is None:
        return limits
    changes = {}
    for key, (minimum, maximum) in LIMIT_RANGES.items():
        value = section.whole(key, minimum=minimum, maximum=maximum)
        if value is not None:
            changes[key] = value
    limits = attrs.evolve(limits, **changes)
    if "requests" in changes and limits.requests >= general.requests > 1:
        section.warn(
            "requests",
            f"is {limits.requests}, and limits.requests for all backends {general.requests}: when"
            " this one hangs, no other is served either",
            "write less here, or more there",
        )
    return limits


def read_checks(options: Options) -> Checks | None:
    """The key `checks`."""
    section = options.section("checks")
    if section is None:
        return None
    path = section.text("path", required=True)
    fault = None if path is None else fault_of_path(path)
    if fault is not None and path != "/":
        section.complain("path", f"{shown(path)} {fault[0]}", fault[1])
    interval = section.number("interval", 10, minimum=1, maximum=86_400)
    timeout = section.number("timeout", 2, above=0, maximum=3600)
    if interval is not None and timeout is not None and timeout > interval:
        section.complain(
            "timeout", f"is {timeout}, longer than the interval of {interval}", "write less"
        )
    counts = {
        key: section.whole(key, default, minimum=1, maximum=100) or default
        for key, default in (("good", 2), ("bad", 3))
    }
    if path is None:
        return None
    return Checks(path=path, interval=interval or 10, timeout=timeout or 2, **counts)

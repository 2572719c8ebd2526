"""IP networks and host names as the configuration writes them."""

from __future__ import annotations

import re
from ipaddress import IPv6Network, ip_address, ip_network

from toolforge_gateway.config.options import Key, Options, shown
from toolforge_gateway.config.values import Network

_NETWORK = re.compile(r"[0-9A-Fa-f.:]+(/[0-9]{1,3})?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


def read_network(options: Options, key: Key, text: str) -> Network | None:
    """A CIDR network, or a single address as a network of one.

    Host bits are a complaint: `192.0.2.7/24` is either `192.0.2.0/24` or
    `192.0.2.7/32`, and only the operator knows which.
    """
    try:
        if not _NETWORK.fullmatch(text):
            raise ValueError
        loose = ip_network(text, strict=False)
    except ValueError:
        options.complain(
            key,
            f"{shown(text)} is no IP network",
            "write for example 192.0.2.0/24 or 2001:db8::/32",
        )
        return None
    address = ip_address(text.partition("/")[0])
    if loose.network_address != address:
        options.complain(
            key,
            f"{shown(text)} has host bits set",
            f"write {loose} for the network or {address}/{loose.max_prefixlen} for the one address",
        )
        return None
    mapped = loose.network_address.ipv4_mapped if isinstance(loose, IPv6Network) else None
    if mapped is not None and loose.prefixlen >= 96:
        # The clients of a dual-stack socket are compared as IPv4.
        plain = f"{mapped}/{loose.prefixlen - 96}"
        options.complain(key, f"{shown(text)} is IPv4 in IPv6 clothes", f"write {plain}")
        return None
    if loose.prefixlen == 0:
        options.warn(key, f"{shown(text)} trusts every address", "list the peers you mean")
    return loose


def host_name(text: str) -> str | None:
    """A DNS name (RFC 1123, and `_`) or IP address in lower case; else None.

    An IPv6 address comes and goes without brackets.
    """
    name = text.lower()
    try:
        return str(ip_address(name)) if "%" not in name else None
    except ValueError:
        pass
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    # "10.0.0.256" and "1.2.3" are addresses gone wrong (RFC 3986 3.2.2), not names.
    return None if labels[-1].isdigit() else name

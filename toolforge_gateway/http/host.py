"""The grammar of a Host value: `host [":" port]` (RFC 9110 section 7.2)."""

from __future__ import annotations

import ipaddress
import re

LONGEST = 255
"""Bytes; a DNS name with its port is shorter (RFC 1035 section 2.3.4)."""

_NAME = rb"[A-Za-z0-9_](?:[A-Za-z0-9_-]*+)(?>(?:\.[A-Za-z0-9_-]++)*)\.?"
_HOST = re.compile(rb"(?:%b|\[([0-9A-Fa-f:.]{2,45})\])(?::([0-9]{1,5}))?" % _NAME)


def is_host(value: bytes) -> bool:
    """Whether this is a name, an IPv4 address or a bracketed IPv6 address.

    Narrower than RFC 3986 section 3.2.2 on purpose: no percent-escapes, no
    sub-delims, no zone, no empty host and no empty port, because receivers
    disagree about those.
    """
    match = _HOST.fullmatch(value)
    if match is None or len(value) > LONGEST:
        return False
    literal, port = match.groups()
    if port is not None and not 0 < int(port) < 65536:
        return False
    if literal is not None:
        try:
            ipaddress.IPv6Address(literal.decode("ascii"))
        except ValueError:
            return False
    return True

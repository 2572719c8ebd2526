"""Web origins: scheme, host and port of a page (RFC 6454 section 4)."""

from __future__ import annotations

import ipaddress
import re

from .host import is_host

_ORIGIN = re.compile(rb"(https?)://((\[[0-9a-f:.]+\]|[^:\[\]]+)(?::([0-9]+))?)")
_DEFAULT_PORTS = {b"https": b"443", b"http": b"80"}


def web_origin(text: bytes) -> bytes | None:
    """An origin in the one form in which two of them are compared.

    Lower case, the port always said, IPv6 in its short form.

    :param text: an Origin field's value (RFC 6454 section 7).
    :return: `https://example.org:443`; None for whatever is no origin of the
        web: `null`, several of them, a path, another scheme.
    """
    match = _ORIGIN.fullmatch(text.lower())
    if match is None or not is_host(match[2]):
        return None
    scheme, _, host, port = match.groups()
    if host.startswith(b"["):
        host = b"[%b]" % ipaddress.IPv6Address(host[1:-1].decode("ascii")).compressed.encode()
    return b"%b://%b:%d" % (scheme, host, int(port or _DEFAULT_PORTS[scheme]))

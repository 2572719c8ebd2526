"""X-Forwarded-For, -Proto and -Host, and X-Request-ID: believed from a trusted hop only."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from functools import lru_cache

import attrs

from .http.host import is_host
from .http.message import Field
from .http.write import lines

_is_request_id = re.compile(rb"[A-Za-z0-9._-]{1,128}").fullmatch
_NAMES = frozenset([b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-request-id"])


@attrs.frozen(slots=False)  # twice as quick to make
class Forwarded:
    """Where a request comes from, for the log and for the backend."""

    client: str
    """The caller's address: what the trusted hop says it saw, the last of its
    list, since those before it may be the caller's own invention."""
    fields: tuple[Field, ...]
    """X-Forwarded-For, -Proto and -Host (where there is one)."""
    request_id: str
    """For X-Request-ID."""
    lines: bytes = attrs.field(eq=False)
    """`fields` as header lines."""

    @lines.default
    def _lines(self) -> bytes:
        return lines(self.fields)


def resolve(
    fields: Iterable[Field],
    *,
    peer: str,
    trusted: bool,
    host: bytes | None,
    new_request_id: Callable[[], str],
) -> Forwarded:
    """Say where a request comes from.

    :param fields: all fields of the request; only the exact names count.
    :param peer: the address of whoever connected, as text.
    :param trusted: whether the peer's own words about this are believed.  Each
        is believed on its own, once, and only if it is well-formed.
    :param host: the client's Host.
    :param new_request_id: makes an id that is safe in a header and in a log.
    """
    if not trusted:
        seen, written = _seen_by_us(peer, host)
        return Forwarded(peer, seen, new_request_id(), written)
    client, addresses, proto, request_id = peer, peer.encode("ascii"), b"https", None
    said: dict[bytes, list[bytes]] = {name: [] for name in _NAMES}
    for name, value in fields:
        lower = name.lower()
        if lower in said:
            said[lower].append(value)
    chain = _addresses(b",".join(said[b"x-forwarded-for"]))
    if chain:
        client = chain[-1]
        addresses = ", ".join([*chain, peer]).encode("ascii")
    proto = _only(said[b"x-forwarded-proto"], (b"http", b"https").__contains__) or proto
    host = _only(said[b"x-forwarded-host"], is_host) or host
    request_id = _only(said[b"x-request-id"], _is_request_id)
    identifier = new_request_id() if request_id is None else request_id.decode("ascii")
    result = [(b"X-Forwarded-For", addresses), (b"X-Forwarded-Proto", proto)]
    if host is not None:
        result.append((b"X-Forwarded-Host", host))
    return Forwarded(client, tuple(result), identifier)


@lru_cache(maxsize=1024)
def _seen_by_us(peer: str, host: bytes | None) -> tuple[tuple[Field, ...], bytes]:
    """What we can say ourselves, also as lines; the same for all requests of a connection."""
    fields: tuple[Field, ...] = (
        (b"X-Forwarded-For", peer.encode("ascii")),
        (b"X-Forwarded-Proto", b"https"),
    )
    if host is not None:
        fields = (*fields, (b"X-Forwarded-Host", host))
    return fields, lines(fields)


def _only(values: list[bytes], is_good: Callable[[bytes], object]) -> bytes | None:
    """The one value, if there is exactly one and it is well-formed."""
    return values[0] if len(values) == 1 and is_good(values[0]) else None


def _addresses(value: bytes) -> list[str]:
    """The addresses of a list, nearest to the caller first; none if one is bad."""
    addresses = []
    for element in value.split(b","):
        text = element.strip(b" \t").decode("latin-1")
        try:
            # A zone may hold any character at all, and means nothing elsewhere.
            if "%" in text:
                return []
            addresses.append(str(ipaddress.ip_address(text)))
        except ValueError:
            return []
    return addresses

"""How each proxy says what its client has asked for."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import lru_cache

import attrs

from toolforge_gateway.errors import Refusal
from toolforge_gateway.http.host import is_host
from toolforge_gateway.http.message import Field, RequestHead

PREFIX = "/auth"
"""The path that proxies ask at."""


@attrs.frozen
class Dialect:
    """Names of header fields, lower case; "" for what the proxy does not say."""

    name: str
    method: bytes
    """"": the request's own method."""
    uri: bytes
    """"": what follows `/auth` in the request's own target."""
    host: bytes
    """"": the request's own Host."""
    client: bytes
    """Addresses, the last of which the proxy has seen itself."""
    takes_body: bool = True
    """Whether the proxy has a use for the body of a no; nginx closes the
    connection when there is one."""

    fields: frozenset[bytes] = attrs.field(init=False)
    """All names that are read."""

    @fields.default
    def _fields(self) -> frozenset[bytes]:
        return frozenset((self.method, self.uri, self.host, self.client)) - {b""}


DIALECTS: Mapping[str, Dialect] = {
    each.name: each
    for each in (
        Dialect(
            "nginx",
            method=b"x-original-method",
            uri=b"x-original-uri",
            host=b"x-original-host",
            client=b"x-real-ip",
            takes_body=False,
        ),
        Dialect(
            "traefik",
            method=b"x-forwarded-method",
            uri=b"x-forwarded-uri",
            host=b"x-forwarded-host",
            client=b"x-forwarded-for",
        ),
        Dialect(
            "caddy",
            method=b"x-forwarded-method",
            uri=b"x-forwarded-uri",
            host=b"x-forwarded-host",
            client=b"x-forwarded-for",
        ),
        Dialect("envoy", method=b"", uri=b"", host=b"", client=b"x-real-ip"),
        Dialect(
            "haproxy",
            method=b"x-original-method",
            uri=b"x-original-uri",
            host=b"x-original-host",
            client=b"x-real-ip",
        ),
    )
}


@attrs.frozen
class Original:
    """What a proxy says that its client has asked for; nothing of it is checked."""

    method: bytes
    uri: bytes
    host: bytes | None
    client: ipaddress.IPv4Address | ipaddress.IPv6Address | None
    shown: bytes | None
    """What the header of the certificate says; None where there is none, or an empty one."""
    fields: tuple[Field, ...]
    """The client's own header fields, as far as the proxy has passed them on."""


def read_original(head: RequestHead, dialect: Dialect, certificate_from: bytes | None) -> Original:
    """Read the fields of one dialect, and no others.

    :param head: of the proxy's request.
    :param certificate_from: lower-case name of the header that shows the
        client's certificate; None: there is none.
    :raise Refusal: 400 `repeated-header`: only one of them can be the proxy's;
        403 `no-original-method`, `no-original-uri` or `bad-original-host`.
    """
    said: dict[bytes, bytes | None] = dict.fromkeys(dialect.fields)
    if certificate_from is not None:
        said[certificate_from] = None
    rest: list[Field] = []
    for field in head.fields:
        lower = field[0].lower()
        if lower not in said:
            rest.append(field)
        elif said[lower] is not None:
            raise Refusal(
                400,
                "repeated-header",
                f"{lower.decode('ascii')} came twice, so one of them is not the proxy's; "
                "have the proxy replace what its client sent",
            )
        else:
            said[lower] = field[1]
    host = said[dialect.host] if dialect.host else head.host
    if host is not None and not is_host(host):
        raise Refusal(403, "bad-original-host", "the proxy's client sent no valid Host")
    return Original(
        method=said[dialect.method] or _missing("no-original-method", dialect.method, dialect)
        if dialect.method
        else head.method,
        uri=said[dialect.uri] or _missing("no-original-uri", dialect.uri, dialect)
        if dialect.uri
        else _below(head.target),
        host=host,
        client=_last_address(said[dialect.client]),
        shown=(said[certificate_from] or None) if certificate_from is not None else None,
        fields=tuple(rest),
    )


def _missing(reason: str, name: bytes, dialect: Dialect) -> bytes:
    raise Refusal(
        403,
        reason,
        f"{name.decode('ascii')} is missing; have the proxy ({dialect.name}) send it",
    )


def _below(target: bytes) -> bytes:
    """What an Envoy whose `path_prefix` is `/auth` was asked for."""
    uri = target.removeprefix(PREFIX.encode("ascii"))
    if not uri.startswith(b"/"):
        raise Refusal(
            403,
            "no-original-uri",
            f"nothing follows {PREFIX}; have Envoy ask with path_prefix: {PREFIX}",
        )
    return uri


@lru_cache(maxsize=1024)
def _last_address(value: bytes | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    text = (value or b"").rpartition(b",")[2].strip(b" \t").decode("latin-1")
    try:
        address = ipaddress.ip_address(text) if "%" not in text else None
    except ValueError:
        return None
    # As the clients of a dual-stack socket are known elsewhere.
    return getattr(address, "ipv4_mapped", None) or address

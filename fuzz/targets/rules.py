"""Redirects, forwarding headers and hosts: nothing raises, nothing is smuggled in,
and a redirect leads the client where it would have led the gateway."""

from __future__ import annotations

import ipaddress
import re

from fuzz import words
from fuzz.phrase import Draw
from toolforge_gateway import forwarded, location
from toolforge_gateway.http import write
from toolforge_gateway.http.head import HeadLimits, parse_request_head
from toolforge_gateway.http.host import is_host

UPSTREAM = b"127.0.0.1:18441"
PREFIX = "/components"
EXTERNAL = b"https://api.example.org"
REQUEST_PATHS = ("/components/v1/tool/tf-test/x", "/components", "/components/a/")
_reference = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
"""RFC 3986 appendix B."""
ROOMY = HeadLimits(request_line=100_000, header_block=200_000, headers=1000)


def check(data: bytes) -> None:
    """A value of Location, of X-Forwarded-*, and of Host."""
    draw = Draw.of(data, words.LOCATION)
    base = "/base" if draw.flag(1) else ""
    external = EXTERNAL if draw.flag(2) else None
    path = REQUEST_PATHS[draw.knobs[3] % len(REQUEST_PATHS)]
    _check_location(draw.message, base, external, path)
    _check_forwarded(draw.message)
    _check_host(draw.message)


def _check_location(value: bytes, base: str, external: bytes | None, path: str) -> None:
    rewritten = location.rewrite(
        value,
        prefix=PREFIX,
        base_path=base,
        upstream_authority=UPSTREAM,
        request_path=path,
        external=external,
    )
    for control in (b"\r", b"\n", b"\0", b" ", b"\t"):
        assert rewritten.count(control) <= value.count(control), (value, rewritten)
    if not value.isascii() or any(byte <= 0x20 or byte in b'\x7f\\"<>^`{|}' for byte in value):
        return
    meant = _resolved("https", UPSTREAM.decode(), base + (path[len(PREFIX) :] or "/"), value)
    got = _resolved("https", EXTERNAL.decode().partition("//")[2], path, rewritten)
    if meant is None or got is None:
        return
    scheme, authority, place, query = meant
    ours = authority.lower() == UPSTREAM.decode() and scheme in ("http", "https")
    if ours and (place == base or place.startswith(base + "/")) and _is_plain(place):
        expected = "https", EXTERNAL.decode()[8:], PREFIX + place[len(base) :], query
        assert _slash(got) == _slash(expected), (value, rewritten, got, expected)
    elif not ours:
        assert rewritten == value, (value, rewritten)


def _is_plain(path: str) -> bool:
    """Whether the path is the same when its dot segments are removed."""
    return "//" not in path and not any(each in (".", "..") for each in path.split("/"))


def _slash(place: tuple[str, str, str, str]) -> tuple[str, str, str, str]:
    """The prefix alone and with a slash are the same place."""
    scheme, authority, path, query = place
    return scheme, authority, PREFIX if path == PREFIX + "/" else path, query


def _resolved(
    scheme: str, authority: str, base: str, reference: bytes
) -> tuple[str, str, str, str] | None:
    """RFC 3986 section 5.2.2; None where the reference is no http(s) URL."""
    match = _reference.fullmatch(reference.decode("ascii"))
    assert match is not None
    its_scheme, its_authority, path, query, fragment = match.groups()
    tail = (query or "") + (fragment or "")
    if its_scheme is None and its_authority is None and ":" in path.split("/")[0]:
        return None
    if its_scheme is not None:
        if its_scheme.lower() not in ("http", "https") or its_authority is None:
            return None
        return its_scheme.lower(), its_authority, path or "/", tail
    if its_authority is not None:
        return scheme, its_authority, path or "/", tail
    if not path:
        return scheme, authority, base, tail
    if not path.startswith("/"):
        path = base.rpartition("/")[0] + "/" + path
        path = _without_dots(path)
    return scheme, authority, path, tail


def _without_dots(path: str) -> str:
    """RFC 3986 section 5.2.4."""
    out: list[str] = []
    segments = path.split("/")[1:]
    for index, segment in enumerate(segments):
        last = index == len(segments) - 1
        if segment == "..":
            del out[-1:]
        if segment in (".", ".."):
            out += [""] if last else []
        else:
            out.append(segment)
    return "/" + "/".join(out)


def _check_forwarded(value: bytes) -> None:
    value = bytes(byte for byte in value if byte == 9 or 32 <= byte <= 126 or byte >= 128)
    parts = [part.strip(b" \t") for part in value.split(b";")] + [b""]
    fields = [
        (b"X-Forwarded-For", parts[0]),
        (b"x-forwarded-host", parts[-1]),
        (b"X-Forwarded-Proto", parts[1]),
        (b"X-REQUEST-ID", parts[0]),
        *[(b"X-Forwarded-For", part) for part in parts[2:]],
    ]
    for trusted in (False, True):
        said = forwarded.resolve(
            fields, peer="192.0.2.1", trusted=trusted, host=b"gw", new_request_id=lambda: "id"
        )
        ipaddress.ip_address(said.client)
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", said.request_id)
        names = [name for name, _ in said.fields]
        assert len(names) == len(set(names)) == 3
        addresses = dict(said.fields)[b"X-Forwarded-For"].decode().split(", ")
        # The client is whom the trusted hop saw, and not what that one was told.
        assert addresses[-1] == "192.0.2.1"
        assert said.client == addresses[-2 if len(addresses) > 1 else -1]
        assert trusted or (addresses == ["192.0.2.1"] and said.request_id == "id")
        for address in addresses:
            assert str(ipaddress.ip_address(address)) == address
        written = write.request_head(b"GET", b"/", [(b"Host", b"gw"), *said.fields])
        read = parse_request_head(written, ROOMY).fields
        assert list(read[1:]) == list(said.fields)


def _check_host(value: bytes) -> None:
    if not is_host(value):
        return
    assert 0 < len(value) <= 255 and all(0x21 <= byte <= 0x7E for byte in value)
    name, colon, port = value.rpartition(b":")
    if value.endswith(b"]") or not colon:
        name, port = value, b"1"
    assert 0 < int(port) < 65536 and port.isdigit()
    if name.startswith(b"["):
        assert name.endswith(b"]") and ipaddress.IPv6Address(name[1:-1].decode()).scope_id is None
    else:
        rest = name.replace(b".", b"").replace(b"-", b"").replace(b"_", b"")
        assert rest.isalnum() or not rest, value
        assert b".." not in name and not name.startswith(b".")

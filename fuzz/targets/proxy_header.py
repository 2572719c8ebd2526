"""PROXY headers: any split reads the same, and what is written is what is read."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from fuzz.phrase import Draw, Outcome, same_in_any_split
from toolforge_gateway.edge.proxy_protocol import (
    V1_LONGEST,
    V2_LONGEST,
    Announcement,
    BadProxyHeader,
    HeaderReader,
)

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
WORDS = [
    b"PROXY ", b"TCP4 ", b"TCP6 ", b"UNKNOWN", b"\r\n", b"\r", b"\n", b"192.0.2.1 ",
    b"198.51.100.7 ", b"2001:db8::1 ", b"::ffff:1.2.3.4 ", b"::1 ", b"01.2.3.4 ", b"1.2.3 ",
    b"65535 ", b"65536", b"0", b"443", b"00", b" ", b"a" * 90, b"\x80", SIGNATURE, SIGNATURE[:5],
    b"\x20", b"\x21\x11\x00\x0c", b"\x21\x21\x00\x24", b"\x20\x00\x00\x00", b"\x21\x00\x00\x00",
    b"\x21\x31\x00\xd8", b"\x21\x12\x00\x0c", b"\x11", b"\x00\x00", b"\x10\x00", b"\xff\xff",
    b"\x01\x02\x03\x04", b"\x00" * 10 + b"\xff\xff",
]  # fmt: skip


def check(data: bytes) -> None:
    """A header and what comes after it."""
    draw = Draw.of(data, WORDS)
    outcome = same_in_any_split(draw, _read)
    if isinstance(outcome[0], Announcement):
        _judge(draw.message, *outcome)
    _judge_written(draw.message)


def _read(pieces: Sequence[bytes]) -> Outcome:
    reader = HeaderReader()
    taken = 0
    for piece in pieces:
        taken += len(piece)
        try:
            found = reader.feed(piece)
        except BadProxyHeader:
            return ("refused",)
        if found is not None:
            return found, reader.rest + b"".join(pieces)[taken:]
    assert taken < V2_LONGEST, "a header without a bound"
    return ("incomplete",)


def _judge(message: bytes, found: Announcement, rest: bytes) -> None:
    header = message[: len(message) - len(rest)]
    assert message == header + rest
    if header.startswith(SIGNATURE):
        assert len(header) == 16 + int.from_bytes(header[14:16], "big") <= V2_LONGEST
        command, family = header[12], header[13]
        assert command in (0x20, 0x21)
        assert (found.client is None) == (command == 0x20 or family == 0)
    else:
        assert header.startswith(b"PROXY ") and header.endswith(b"\r\n")
        assert len(header) <= V1_LONGEST
        assert header.count(b"\r") == header.count(b"\n") == 1
        assert (found.client is None) == header.startswith(b"PROXY UNKNOWN")
        if found.client is not None:
            _, kind, source, destination, port, _ = header[:-2].decode().split(" ")
            addresses = ip_address(source), ip_address(destination)
            assert all(each.version == (4 if kind == "TCP4" else 6) for each in addresses)
            assert found.client == (_plain(addresses[0]), int(port))
    if found.client is not None:
        address, port = found.client
        assert 0 <= port <= 65535 and address == _plain(address)


def _judge_written(data: bytes) -> None:
    seed = data[:18].ljust(18, b"\x01")
    port = int.from_bytes(seed[16:], "big")
    for address in (IPv4Address(seed[:4]), IPv6Address(seed[:16])):
        kind, family = ("TCP4", 0x11) if address.version == 4 else ("TCP6", 0x21)
        written = f"PROXY {kind} {address} {address} {port} 443\r\n".encode()
        body = 2 * address.packed + port.to_bytes(2, "big") + b"\x01\xbb"
        binary = SIGNATURE + bytes((0x21, family)) + len(body).to_bytes(2, "big") + body
        for header in (written, binary):
            assert _read([header + data]) == (Announcement((_plain(address), port)), data)


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return getattr(address, "ipv4_mapped", None) or address

"""What a head that was accepted must be, said a second time and differently.

Plain loops over plain bytes, nothing of `toolforge_gateway`: a mistake there
is not repeated here.
"""

from __future__ import annotations

from collections.abc import Iterable

Field = tuple[bytes, bytes]

NAME_CHARACTERS = frozenset(
    b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
LETTERS_AND_DIGITS = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
LARGEST = 9223372036854775807

NEVER_FROM_A_CLIENT = (
    b"x-toolforge-tool",
    b"x-toolforge-user",
    b"forwarded",
    b"x-forwarded-*",
    b"x-real-ip",
    b"x-original-*",
    b"x-rewrite-url",
    b"x-forwarded-client-cert",
    b"x-remote-*",
    b"x-ssl-*",
    b"ssl-client-*",
    b"x-request-id",
    b"impersonate-*",
    b"connection",
    b"keep-alive",
    b"proxy-*",
    b"te",
    b"trailer",
    b"upgrade",
)
"""Folded names; `*` stands for any rest."""
CREDENTIALS = (b"authorization", b"cookie")


def folded(name: bytes) -> bytes:
    """Every character that is no letter or digit as `-`, in lower case."""
    return bytes(byte if byte in LETTERS_AND_DIGITS else 0x2D for byte in name).lower()


def named(fields: Iterable[Field], wanted: bytes) -> list[Field]:
    """The fields that a receiver could take for one of that folded name."""
    if wanted.endswith(b"*"):
        return [field for field in fields if folded(field[0]).startswith(wanted[:-1])]
    return [field for field in fields if folded(field[0]) == wanted]


def lines_of(raw: bytes) -> tuple[bytes, list[Field]]:
    """Start line and fields of a head that was accepted.

    :raise AssertionError: it has a line that should not have been.
    """
    assert raw.endswith(b"\r\n\r\n"), "no blank line at the end"
    start, *lines = raw[:-4].split(b"\r\n")
    for byte in raw[:-4].replace(b"\r\n", b""):
        assert byte == 9 or 32 <= byte <= 126 or byte >= 128, f"byte {byte} passed"
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        assert colon and name and set(name) <= NAME_CHARACTERS, f"the line {line!r} passed"
        fields.append((name, value.strip(b" \t")))
    return start, fields


def framing_of(fields: Iterable[Field], minor: int) -> tuple[bool, int | None]:
    """Whether the body is chunked, and the length that is announced.

    :raise AssertionError: two receivers could see two lengths.
    """
    fields = list(fields)
    lengths = named(fields, b"content-length")
    encodings = named(fields, b"transfer-encoding")
    assert len(lengths) + len(encodings) <= 1, "two announcements of a length passed"
    for name, value in lengths:
        assert name.lower() == b"content-length", f"{name!r} passed"
        assert value.isdigit() and value.isascii(), f"the length {value!r} passed"
        assert str(int(value)).encode() == value and int(value) <= LARGEST, f"{value!r} passed"
    for name, value in encodings:
        assert name.lower() == b"transfer-encoding", f"{name!r} passed"
        assert value.lower() == b"chunked" and minor == 1, f"{value!r} in 1.{minor} passed"
    return bool(encodings), int(lengths[0][1]) if lengths else None

"""Clients that want to be somebody else, or to hide a request in a request.

What they hide bears no announced token: the judge sees it as a stowaway should it ever arrive.
"""

from __future__ import annotations

from soak import wire
from soak.clients.field import PATIENCE, TOOL, Field, status_of, until_closed
from soak.judge import SECRET

_INNER = b"GET /good/v1/tool/other/name HTTP/1.1\r\nHost: localhost\r\nX-Soak-Token: inner\r\n\r\n"
_POST = b"POST /good/v1/tool/tf-test/echo HTTP/1.1\r\nHost: localhost\r\nX-Soak-Token: outer\r\n"
_LENGTH = b"Content-Length: %d\r\n" % len(_INNER)
_GET = b" HTTP/1.1\r\nHost: localhost\r\nX-Soak-Token: outer\r\n\r\n"

_FRAMING = (
    _LENGTH + b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\n" + _LENGTH,
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding: chunked, identity\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n",
    b"Transfer-Encoding: chunked\n",
    b"Transfer-Encoding:\r\n chunked\r\n",
    b"X: y\rTransfer-Encoding: chunked\r\n",
    b"Content-Length: 0\r\n" + _LENGTH,
    _LENGTH + _LENGTH,
    b"Content-Length: +0\r\n",
    b"Content-Length: 0, 0\r\n",
    b"Content-Length: 0x0\r\n",
    b"Content-Length: 00000000000000000000000000000000000005\r\n" + _LENGTH,
    b"Content-Length: 18446744073709551616\r\n",
    b"Content-Length : 0\r\n",
    b"Host: other\r\n",
    b"X-Nul: a\0b\r\n",
    b"\r \n",
)
_CHUNKS = (
    b"0x1\r\na\r\n0\r\n\r\n",
    b"+1\r\na\r\n0\r\n\r\n",
    b"1 \r\na\r\n0\r\n\r\n",
    b"1\na\r\n0\r\n\r\n",
    b"10000000000000001\r\na\r\n0\r\n\r\n",
    b"1\r\nab\r\n0\r\n\r\n",
    b"1;a\nb\r\na\r\n0\r\n\r\n",
    b"1\r\na\r\n0\r\nX Y: z\r\n\r\n",
)
_TARGETS = (
    b"/good/v1/tool/other/name",
    b"/good/v1/tool/tf-test/../other/name",
    b"/good/v1/tool/tf-test/%2e%2e/other/name",
    b"/good/v1/tool/tf-test/%252e%252e/x/../name",
    b"/good/v1/tool/tf-test%2F..%2Fother/name",
    b"/good/v1/%74ool/other/name",
    b"/good//v1/tool/other/name",
    b"/good/v1/tool/other;/name",
    b"/good/v1/tool\\other\\name",
    b"/good/v1/TOOL/other/name",
    b"/good/v1/tool/%c0%ae%c0%ae/name",
    b"https://localhost/good/v1/tool/other/name",
    b"*",
    b"/good/v1/tool/tf-test/name#x",
    b"/good/v1/x",
)
_FIELDS = (
    b"X-Toolforge-Tool",
    b"x-toolforge_tool",
    b"X_Toolforge_User",
    b"X.Toolforge.Tool",
    b"x-TOOLFORGE-user",
    b"Forwarded",
    b"X-Forwarded-For",
    b"X_Forwarded_Proto",
    b"X-Real-IP",
    b"X-Original-URL",
    b"X-Rewrite-URL",
    b"X-Forwarded-Client-Cert",
    b"X-Remote-User",
    b"X-SSL-Client-S-DN",
    b"SSL-Client-Subject-DN",
    b"Impersonate-User",
)


async def smuggler(field: Field) -> None:
    """A message of two readings is refused, and the connection with it."""
    extra = field.rng.choice(_FRAMING)
    await _refused(field, "smuggling", _POST + extra + b"\r\n" + _INNER + b"0\r\n\r\n", {400})


async def bad_chunks(field: Field) -> None:
    """A body of two readings hides nothing; its head may have been forwarded by then."""
    announced = field.head(TOOL, b"POST", "good", "echo", b"Transfer-Encoding: chunked")
    body = field.rng.choice(_CHUNKS)
    await _refused(field, "bad chunks", announced[1] + b"\r\n" + body + _INNER, {400})


async def trespasser(field: Field) -> None:
    """Somebody else's path in any spelling, and what the log must not show."""
    target = field.rng.choice(_TARGETS)
    if b"#" not in target and field.rng.random() < 0.5:
        target += b"?tok%65n=" + SECRET.encode() + b"&TOKEN=" + SECRET.encode()
    referer = b"Referer: https://x/?token=" + SECRET.encode() + b"\r\n"
    await _refused(field, "trespass", b"GET " + target + _GET[:-2] + referer + b"\r\n", {400, 403})


async def impostor(field: Field) -> None:
    """Fields that name an identity are dropped, or the request is refused."""
    names = field.rng.sample(_FIELDS, field.rng.randint(1, 4))
    lines = [name + b": other" for name in names]
    if field.rng.random() < 0.3:
        lines.append(b"Connection: X-Toolforge-Tool, X-Forwarded-For, X-Soak-Nothing")
    _, head = field.head(TOOL, b"GET", "good", "name", *lines)
    reader, writer = await field.connect(TOOL)
    writer.write(head + b"\r\n")
    answer = await wire.read_answer(reader, b"GET")
    if answer.status in (200, 400):
        field.judge.good("impostor")
    else:
        field.judge.fault("impostor", f"{lines!r}: {answer.status} {answer.body[:200]!r}")
    writer.close()


async def _refused(field: Field, kind: str, message: bytes, statuses: set[int]) -> None:
    reader, writer = await field.connect(TOOL)
    message += b"" if kind != "trespass" else b""
    for part in wire.cut_up(message, field.rng, 400):
        writer.write(part)
    if kind == "trespass":
        answer = await wire.read_answer(reader, b"GET")
        status = answer.status
    else:
        received = await until_closed(reader, PATIENCE)
        if received is None:
            field.judge.fault(kind, f"the connection stays open: {message[:300]!r}")
            writer.transport.abort()
            return
        status = status_of(received)
        if received.count(b"HTTP/1.1 ") > 1:
            field.judge.fault(kind, f"two answers to {message[:300]!r}: {received!r}")
    if status in statuses:
        field.judge.good(kind)
    else:
        field.judge.fault(kind, f"{status} for {message[:300]!r}")
    writer.transport.abort()


KINDS = (smuggler, bad_chunks, trespasser, impostor)

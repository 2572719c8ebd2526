"""What a server made of a case, by what it did and not by what it said.

Fair to servers that are not this gateway: any refusal will do where one is
wanted, and order, spelling and framing of what arrives may differ.
"""

from __future__ import annotations

import enum
import re

import attrs

from tests.strict.table import SMUGGLED, Case

Field = tuple[bytes, bytes]

_OWN_BUSINESS = frozenset(
    [
        b"host",
        b"connection",
        b"content-length",
        b"transfer-encoding",
        b"x-request-id",
        b"traceparent",
    ]
)
"""Fields of one connection, and those that are random."""
_IDENTITY = re.compile(
    rb"x-toolforge-(tool|user)|forwarded|x-(forwarded|original|remote|ssl|rewrite)-.*|x-real-ip"
    rb"|ssl-client-.*|impersonate-.*|authorization|cookie|proxy-authorization"
)
"""What no client may say under any spelling, folded."""


class Verdict(enum.Enum):
    """The outcome of one case."""

    PASSED = "passed"
    LET_THROUGH = "let through"
    """Something arrived that must not."""
    SPOILT = "spoilt"
    """What is good was refused, or arrived as something else."""


@attrs.frozen
class Arrived:
    """A whole request at the backend, its body out of its framing."""

    method: bytes
    target: bytes
    fields: tuple[Field, ...]
    body: bytes


def parse(received: bytes) -> tuple[Arrived, int] | None:
    """The request that the bytes begin with, and its size; None while it is not whole.

    As lenient as a backend may be.
    """
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    line, *lines = received[:end].split(b"\r\n")
    method, _, rest = line.partition(b" ")
    target = rest.rpartition(b" ")[0]
    fields = tuple(
        (name, value.strip(b" \t")) for name, _, value in (x.partition(b":") for x in lines)
    )
    at = end + 4
    named = {name.lower(): value for name, value in fields}
    if named.get(b"transfer-encoding", b"").lower() == b"chunked":
        body = b""
        while (stop := received.find(b"\r\n", at)) >= 0:
            size = int(received[at:stop].split(b";")[0], 16)
            at = stop + 2 + size + 2
            if not size:
                stop = received.find(b"\r\n\r\n", stop)
                return (Arrived(method, target, fields, body), stop + 4) if stop >= 0 else None
            body += received[stop + 2 : at - 2]
            if len(received) < at:
                return None
        return None
    size = int(named.get(b"content-length", b"0"))
    if len(received) < at + size:
        return None
    return Arrived(method, target, fields, received[at : at + size]), at + size


def judge(
    area: str, case: Case, statuses: list[int], arrived: list[Arrived]
) -> tuple[Verdict, str]:
    """Judge one case.

    :param statuses: of the final answers that the client got.
    :param arrived: what the backend saw.
    :return: the verdict, and in a few words why it is not PASSED.
    """
    expected = [found[0] for found in map(parse, case.arrives) if found is not None]
    if area == "targets" and not expected:
        # The message has one length: the request after it is a good one.
        below = _smuggled_target()
        arrived = [each for each in arrived if each.target != below]
    if len(arrived) > len(expected):
        extra = arrived[len(expected)]
        return Verdict.LET_THROUGH, f"arrived: {_shown(extra)}"
    for wanted, got in zip(expected, arrived, strict=False):
        verdict, why = _compared(wanted, got)
        if verdict is not Verdict.PASSED:
            return verdict, why
    if len(arrived) < len(expected):
        return Verdict.SPOILT, f"answered {statuses or 'nothing'}"
    good = [status for status in case.statuses if status < 300]
    if statuses[: len(good)] != good:
        return Verdict.SPOILT, f"answered {statuses}"
    if not good and any(status < 400 for status in statuses[:1]):
        return Verdict.LET_THROUGH, f"answered {statuses}"
    return Verdict.PASSED, ""


def _compared(wanted: Arrived, got: Arrived) -> tuple[Verdict, str]:
    extra = list(_fields(got))
    missing = []
    for field in _fields(wanted):
        if field in extra:
            extra.remove(field)
        else:
            missing.append(field)
    claims = [field for field in extra if _IDENTITY.fullmatch(_folded(field[0]))]
    if claims:
        return Verdict.LET_THROUGH, f"arrived with {claims}"
    if (got.method, got.target, got.body) != (wanted.method, wanted.target, wanted.body):
        return Verdict.SPOILT, f"arrived as {_shown(got)}"
    if extra or missing:
        return Verdict.SPOILT, f"arrived with {extra}, without {missing}"
    return Verdict.PASSED, ""


def _fields(request: Arrived) -> list[Field]:
    fields = ((name.lower(), value) for name, value in request.fields)
    return [field for field in fields if field[0] not in _OWN_BUSINESS]


def _folded(name: bytes) -> bytes:
    return re.sub(rb"[^a-z0-9]", b"-", name.lower())


def _shown(request: Arrived) -> str:
    return ascii(b"%b %b, body %b" % (request.method, request.target[:80], request.body[:40]))[2:-1]


def _smuggled_target() -> bytes:
    target = SMUGGLED.split(b" ")[1]
    return target[target.index(b"/", 1) :]

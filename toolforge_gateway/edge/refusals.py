"""Answers of our own: what a `Refusal` looks like to a client.

One body serves all the clients there are: jobs, builds and envvars read the
top-level list `error`, components reads `messages.error`, programs read
`reason` and people quote `request_id`.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus

from toolforge_gateway.errors import Refusal
from toolforge_gateway.http.message import Field

_is_word = re.compile(r"[!-~]{1,80}").fullmatch


def body(refusal: Refusal, request_id: str) -> bytes:
    """The JSON body, ASCII, ending in a newline."""
    text = json.dumps(
        {
            "error": [refusal.message],
            "messages": {"error": [refusal.message], "info": [], "warning": []},
            "reason": refusal.reason,
            "request_id": request_id,
        }
    )
    return text.encode("ascii") + b"\n"


def phrase(status: int) -> bytes:
    """The reason phrase of a status line (RFC 9110 section 15)."""
    return HTTPStatus(status).phrase.encode("ascii")


def fields(refusal: Refusal, length: int, request_id: str, date: bytes) -> list[Field]:
    """The fields of the answer; `date` is an HTTP date."""
    return [
        (b"Date", date),
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"%d" % length),
        (b"Cache-Control", b"no-store"),
        (b"X-Content-Type-Options", b"nosniff"),
        *telling(refusal.reason, request_id),
    ]


def telling(reason: str, request_id: str) -> list[Field]:
    """The fields by which a caller and the access log say the same of a request, where there is
    no body as well.

    :param reason: the word; a plug-in's may be anything, and is `refused` then.
    :param request_id: "" for none.
    """
    fields = [(b"X-Toolforge-Reason", reason.encode("ascii") if _is_word(reason) else b"refused")]
    if request_id:
        fields.append((b"X-Request-ID", request_id.encode("ascii")))
    return fields

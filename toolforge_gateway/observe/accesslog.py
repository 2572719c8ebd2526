"""The access log: one JSON object a line, for each exchange.

Nothing a client sends can break out of its line or its string: JSON escapes
controls, quotes and everything that is not ASCII.  Queries are not in it at
all, since they may hold tokens.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

from zope.interface import implementer

from toolforge_gateway.interfaces import IObserver
from toolforge_gateway.model import Exchange

LONGEST_PATH = 2048
"""Characters; what is cut off is marked by an ellipsis."""

_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


@implementer(IObserver)
class AccessLog:
    """Writes the line.

    :param write: takes one line, with its newline.
    """

    def __init__(self, write: Callable[[str], object]):
        self._write = write

    def ended(self, exchange: Exchange) -> None:
        """See `IObserver`."""
        self._write(_encode(line(exchange)) + "\n")


def line(exchange: Exchange) -> dict[str, object]:
    """The members of one line; `docs/configuration.md` explains each."""
    identity = exchange.identity
    path = exchange.path
    if len(path) > LONGEST_PATH:
        path = path[:LONGEST_PATH] + "\u2026"
    return {
        "time": datetime.fromtimestamp(exchange.started, UTC).isoformat(timespec="milliseconds"),
        "request_id": exchange.request_id,
        "client": exchange.client,
        "identity": identity.name,
        "kind": identity.kind.value,
        "authenticator": identity.authenticator,
        "backend": exchange.backend,
        "method": exchange.method,
        "path": path,
        "status": exchange.status,
        "reason": exchange.reason,
        "complete": exchange.complete,
        "bytes_in": exchange.bytes_in,
        "bytes_out": exchange.bytes_out,
        "head_seconds": _rounded(exchange.head_after),
        "seconds": _rounded(exchange.ended_after),
        "tls": exchange.tls_version,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)

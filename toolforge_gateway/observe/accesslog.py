"""The access log: one JSON object a line, for each exchange.

Nothing a client sends can break out of its line or its string: JSON escapes
controls, quotes and everything that is not ASCII.  Queries are not in it at
all, since they may hold tokens, nor is what follows a "=" within a path.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as quoted

from zope.interface import implementer

from toolforge_gateway.interfaces import IObserver
from toolforge_gateway.model import Exchange

LONGEST_PATH = 2048
"""Characters; what is cut off is marked by an ellipsis."""

_VALUE = re.compile("(=|%3[Dd])[^/]*")
"""A value within a segment: whoever writes `;token=` or `%3Ftoken=` meant a query."""


@implementer(IObserver)
class AccessLog:
    """Writes the line.

    :param write: takes one line, with its newline.
    """

    def __init__(self, write: Callable[[str], object]):
        self._write = write
        self._second = (-1, "")

    def ended(self, exchange: Exchange) -> None:
        """See `IObserver`."""
        self._write(self.line(exchange))

    def line(self, exchange: Exchange) -> str:
        """The line of one exchange; `docs/configuration.md` explains each member.

        Put together by hand: a general encoder takes several times as long,
        and this is done for every request.
        """
        remarks = exchange.remarks
        if remarks is None:
            who_and_what = _who_and_what(exchange)
        else:
            who_and_what = remarks.get(AccessLog, "")
            if not who_and_what:
                who_and_what = remarks[AccessLog] = _who_and_what(exchange)
        request_id = quoted(exchange.request_id)
        trace_id = quoted(exchange.trace_id) if exchange.trace_id else request_id
        return (
            f'{{"time":"{self._time(exchange.started)}",'
            f'"request_id":{request_id},'
            f'"trace_id":{trace_id},'
            f"{who_and_what}"
            f'"status":{exchange.status},'
            f'"reason":{quoted(exchange.reason)},'
            f'"complete":{"true" if exchange.complete else "false"},'
            f'"bytes_in":{exchange.bytes_in},'
            f'"bytes_out":{exchange.bytes_out},'
            f'"head_seconds":{_seconds(exchange.head_after)},'
            f'"seconds":{_seconds(exchange.ended_after)}}}\n'
        )

    def _time(self, moment: float) -> str:
        """RFC 3339 with milliseconds, in UTC; the second is written once."""
        milliseconds = int(moment * 1000)
        second = milliseconds // 1000
        if self._second[0] != second:
            self._second = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._second[1]}.{milliseconds % 1000:03d}+00:00"


def _who_and_what(exchange: Exchange) -> str:
    """The members that exchanges with the same `remarks` have in common."""
    identity = exchange.identity
    path = exchange.path
    if "=" in path or "%3" in path:
        path = _VALUE.sub("\\1\u2026", path)
    if len(path) > LONGEST_PATH:
        path = path[:LONGEST_PATH] + "\u2026"
    return (
        f'"client":{quoted(exchange.client)},'
        f'"tls":{quoted(exchange.tls_version)},'
        f'"identity":{quoted(identity.name)},'
        f'"kind":"{identity.kind.value}",'
        f'"authenticator":{quoted(identity.authenticator)},'
        f'"backend":{quoted(exchange.backend)},'
        f'"method":{quoted(exchange.method)},'
        f'"path":{quoted(path)},'
        + (f'"asked_by":{quoted(exchange.asked_by)},' if exchange.asked_by else "")
    )


def _seconds(duration: float | None) -> str:
    return "null" if duration is None else f"{duration:.6f}"

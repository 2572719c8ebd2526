"""What a line of the access log looks like: for programs, for people, for syslog, for journald.

Nothing a client sends can break out of its line or its string: JSON escapes controls, quotes and
everything that is not ASCII, and so do the other forms with whatever is not plain.  Queries are
not in a line at all, since they may hold tokens, nor is what follows a "=" within a path.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as quoted

from toolforge_gateway.model import Exchange

Form = Callable[[Exchange], str]
"""Makes a record of an exchange: text in ASCII."""

LONGEST_PATH = 2048
"""Characters; what is cut off is marked by an ellipsis."""
LONGEST_METHOD = 64
"""The same."""

IDENTIFIER = "toolforge-gateway"
"""What syslog and the journal call us."""
MESSAGE_ID = "81c06e1286514adda0979146e81fee90"
"""By which the journal knows all lines of the access log."""

FACILITIES = {
    "user": 1,
    "daemon": 3,
    **{f"local{number}": 16 + number for number in range(8)},
}
"""Those of RFC 5424 section 6.2.1 that an access log may have."""
_WARNING, _NOTICE, _INFO = 4, 5, 6

_VALUE = re.compile("(=|%3[Dd])[^/]*")
"""A value within a segment: whoever writes `;token=` or `%3Ftoken=` meant a query."""


class JsonLine:
    """One JSON object; `docs/configuration.md` explains each member."""

    def __init__(self) -> None:
        self._second = (-1, "")

    def __call__(self, exchange: Exchange) -> str:
        """The line of one exchange, with its newline.

        Put together by hand: a general encoder takes several times as long,
        and this is done for every request.
        """
        remarks = exchange.remarks
        if remarks is None:
            who_and_what = _who_and_what(exchange)
        else:
            who_and_what = remarks.get(JsonLine, "")
            if not who_and_what:
                who_and_what = remarks[JsonLine] = _who_and_what(exchange)
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
    return (
        f'"client":{quoted(exchange.client)},'
        f'"tls":{quoted(exchange.tls_version)},'
        f'"identity":{quoted(identity.name)},'
        f'"kind":"{identity.kind.value}",'
        f'"authenticator":{quoted(identity.authenticator)},'
        f'"backend":{quoted(exchange.backend)},'
        f'"method":{quoted(_cut(exchange.method, LONGEST_METHOD))},'
        f'"path":{quoted(_path(exchange))},'
        + (f'"asked_by":{quoted(exchange.asked_by)},' if exchange.asked_by else "")
    )


class HumanLine:
    """For a terminal: when, what came of it, what was asked, who asked, how long it took."""

    def __call__(self, exchange: Exchange) -> str:
        """The line of one exchange, with its newline."""
        started = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(exchange.started))
        identity = exchange.identity
        who = f"{identity.kind.value} {_word(identity.name)}" if identity.name else "anonymous"
        asked = f" asked by {_word(exchange.asked_by)}" if exchange.asked_by else ""
        took = exchange.ended_after
        return (
            f"{started}.{int(exchange.started * 1000) % 1000:03d}Z "
            f"{exchange.status or '---'} {_word(exchange.reason)} "
            f"{_word(_cut(exchange.method, LONGEST_METHOD))} {_word(_path(exchange))} "
            f"{_word(exchange.backend)} {who} from {_word(exchange.client)}{asked} "
            f"{'?' if took is None else f'{took * 1000:.1f}'} ms "
            f"{exchange.bytes_in} in {exchange.bytes_out} out"
            f"{'' if exchange.complete else ' CUT'} {_word(exchange.request_id)}\n"
        )


class SyslogRecord:
    """A datagram for the local syslog socket, in the form that every syslog daemon, and journald,
    takes there: RFC 3164 section 4.1 without the host's name, which they know.

    :param line: the form of the message.
    :param facility: one of `FACILITIES`.
    """

    def __init__(self, line: Form, facility: str):
        self._line = line
        self._facility = FACILITIES[facility] * 8
        self._second = (-1, "")

    def __call__(self, exchange: Exchange) -> str:
        """The record of one exchange."""
        now = int(exchange.started + (exchange.ended_after or 0.0))
        if self._second[0] != now:
            # In local time, as the RFC has it; the day of the month is padded with a space.
            at = time.localtime(now)
            month = _MONTHS[at.tm_mon - 1]
            clock = f"{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}"
            self._second = now, f"{month} {at.tm_mday:2d} {clock} {IDENTIFIER}[{os.getpid()}]: "
        severity = self._facility + _severity(exchange)
        return f"<{severity}>{self._second[1]}{self._line(exchange).rstrip()}"


class JournalEntry:
    """A datagram for journald, in its native protocol: a field a line.

    https://systemd.io/JOURNAL_NATIVE_PROTOCOL/

    :param line: the form of `MESSAGE`.
    """

    def __init__(self, line: Form):
        self._line = line

    def __call__(self, exchange: Exchange) -> str:
        """The record of one exchange.  No value has a newline: it would end the field."""
        identity = exchange.identity
        return (
            f"MESSAGE={self._line(exchange)}"
            f"MESSAGE_ID={MESSAGE_ID}\n"
            f"PRIORITY={_severity(exchange)}\n"
            f"SYSLOG_IDENTIFIER={IDENTIFIER}\n"
            f"TOOLFORGE_REQUEST_ID={_plain(exchange.request_id)}\n"
            f"TOOLFORGE_TRACE_ID={_plain(exchange.trace_id or exchange.request_id)}\n"
            f"TOOLFORGE_STATUS={exchange.status}\n"
            f"TOOLFORGE_REASON={_plain(exchange.reason)}\n"
            f"TOOLFORGE_BACKEND={_plain(exchange.backend)}\n"
            f"TOOLFORGE_METHOD={_plain(_cut(exchange.method, LONGEST_METHOD))}\n"
            f"TOOLFORGE_IDENTITY={_plain(identity.name)}\n"
            f"TOOLFORGE_KIND={identity.kind.value}\n"
            f"TOOLFORGE_CLIENT={_plain(exchange.client)}\n"
        )


# `strftime` would write the month in the language of the locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _severity(exchange: Exchange) -> int:
    """How bad it was (RFC 5424 section 6.2.1): a failure of ours or a backend's is a warning, a
    refusal a notice."""
    if exchange.status >= 500 or exchange.reason == "backend-cut":
        return _WARNING
    return _NOTICE if exchange.status >= 400 else _INFO


def _path(exchange: Exchange) -> str:
    path = exchange.path
    if "=" in path or "%3" in path:
        path = _VALUE.sub("\\1\u2026", path)
    return _cut(path, LONGEST_PATH)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[:longest] + "\u2026"


def _plain(text: str) -> str:
    """As it is, or escaped as in a JSON string."""
    return text if text.isascii() and text.isprintable() else quoted(text)[1:-1]


def _word(text: str) -> str:
    """As it is where that is one word of plain text, else in quotes; `-` for nothing."""
    if not text:
        return "-"
    is_plain = text.isascii() and text.isprintable() and " " not in text and '"' not in text
    return text if is_plain else quoted(text)


def _seconds(duration: float | None) -> str:
    return "null" if duration is None else f"{duration:.6f}"

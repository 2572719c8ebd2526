"""Says in the log what is about to run out: in time, daily, on its last day, and at its end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from twisted.logger import Logger, LogLevel

from toolforge_gateway.tls.validity import Validity

DAY = 86400.0
SOON = 14 * DAY
"""Seconds before its end at which a thing is first spoken of; but see `SHARE`."""
SHARE = 0.25
"""Of its whole life, the last part in which it is spoken of at all: what is renewed every three
weeks, a week before its end, is no news at a fortnight."""


class ExpiryWarnings:
    """Remembers what was said, so that it is said once a day, and at once when it has come to the
    worse."""

    log = Logger()

    def __init__(self) -> None:
        self._said: dict[tuple[str, float, LogLevel, bool], float] = {}

    def look(self, found: Iterable[Validity], now: float) -> None:
        """Say what is to be said now.

        :param found: all that runs out, each once.
        :param now: POSIX seconds.
        """
        present = list(found)
        said = {}
        for each in present:
            if each.ends is None or not _is_news(each, present, now):
                continue
            left = each.ends - now
            key = each.name, each.ends, _level(left), left > 0
            last = self._said.get(key)
            if last is None or not 0 <= now - last < DAY:
                self._say(each, left)
                last = now
            said[key] = last
        self._said = said

    def _say(self, what: Validity, left: float) -> None:
        form = "{name} ({subject}) {ends} {when}: renew it"
        assert what.ends is not None, "it was looked at"
        when = f"{datetime.fromtimestamp(what.ends, UTC):%Y-%m-%d %H:%M} UTC"
        ends = f"ends {_in_words(left)}, on" if left > 0 else "ended on"
        self.log.emit(
            _level(left), form, name=what.name, subject=what.subject, ends=ends, when=when
        )


def _level(left: float) -> LogLevel:
    return LogLevel.error if left <= DAY else LogLevel.warn


def _is_news(each: Validity, all_of_them: list[Validity], now: float) -> bool:
    assert each.ends is not None, "it was looked at"
    if each.ends <= now and each.group is not None:
        # An authority that another has followed may lie around in its file for ever.
        group = [other.ends for other in all_of_them if other.group == each.group]
        if any(ends is not None and ends > now for ends in group):
            return False
    life = each.ends - (each.begins if each.begins is not None else each.ends)
    return each.ends - now <= min(SOON, SHARE * life)


def _in_words(seconds: float) -> str:
    days = int(seconds // DAY)
    if days:
        return f"in {days} day{'s' if days > 1 else ''}"
    hours = int(seconds // 3600)
    return f"in {hours} hour{'s' if hours != 1 else ''}" if hours else "within the hour"

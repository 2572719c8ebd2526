"""Values are shown by the ends of their names."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.pages.frame import flat
from toolforge_gateway.pages.values import (
    TONES,
    duration,
    iso,
    name_of,
    number,
    share,
    shown,
    size,
    told,
)

NOW = 1_800_000_000.0


def text(key: str, value: Any) -> str:
    return flat(shown(key, value, NOW)).decode()


class WordTests(SynchronousTestCase):
    def test_durations(self) -> None:
        """From microseconds to days, two figures or two units each."""
        for seconds, words in [
            (0, "0 s"),
            (0.00001778, "18 µs"),
            (0.0012, "1.2 ms"),
            (0.0316, "32 ms"),
            (0.9, "900 ms"),
            (1.5, "1.5 s"),
            (59, "59 s"),
            (119.6, "120 s"),
            (120, "2 min"),
            (3600, "60 min"),
            (7200, "2 h"),
            (7260, "2 h 1 min"),
            (172_800, "2 d"),
            (200_000, "2 d 7 h"),
            (float("inf"), "for ever"),
            (-90, "\u221290 s"),
        ]:
            self.assertEqual(duration(seconds), words)

    def test_shares(self) -> None:
        """A little never reads as nothing, and not quite all never as all."""
        for part, words in [
            (0, "0 %"),
            (1, "100 %"),
            (0.000001, "< 0.01 %"),
            (0.0012, "0.12 %"),
            (0.123, "12.3 %"),
            (0.9901, "99.01 %"),
            (0.999999, "> 99.99 %"),
        ]:
            self.assertEqual(share(part), words)

    def test_sizes(self) -> None:
        """Decimal units, three figures."""
        for amount, words in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1 kB"),
            (999_600, "1 MB"),
            (123_456_789, "123 MB"),
            (5e9, "5 GB"),
            (1.2e15, "1,200.0 TB"),
        ]:
            self.assertEqual(size(amount), words)

    def test_numbers(self) -> None:
        """Thousands are apart; a rate has two places."""
        self.assertEqual(number(1234567), "1\u202f234\u202f567")
        self.assertEqual(number(0.5), "0.50")
        self.assertEqual(number(3.0), "3")
        self.assertEqual(number(1234.5), "1\u202f234")

    def test_names(self) -> None:
        """A name loses its unit, which its value has."""
        for key, words in [
            ("last_answer_at", "Last answer"),
            ("p99_seconds", "P99"),
            ("error_share", "Error share"),
            ("requests_per_second", "Requests per second"),
            ("days_left", "Days left"),
            ("sent_bytes", "Sent"),
            ("_at", "At"),
            ("", ""),
        ]:
            self.assertEqual(name_of(key), words)

    def test_moments(self) -> None:
        """A moment is said in UTC and by its distance, before and after."""
        said = text("since_at", NOW - 300)
        self.assertIn('datetime="2027-01-15T07:55:00Z"', said)
        self.assertIn("(5 min ago)", said)
        self.assertIn("(in 3 d)", text("ends_at", NOW + 3 * 86400))
        for near in (NOW - 9, NOW, NOW + 9):
            self.assertIn("(just now)", text("since_at", near))
        for when in (1e20, -1e20, float("nan"), float("inf")):
            self.assertEqual(iso(when), "?")


class ShownTests(SynchronousTestCase):
    def test_unknown(self) -> None:
        """What is not known is a dash, nought is nought."""
        for key in ("since_at", "p50_seconds", "state", "requests"):
            self.assertEqual(text(key, None), "\u2013")
        self.assertEqual(text("requests", 0), "0")
        self.assertEqual(text("error_share", 0.0), "0 %")

    def test_escaped(self) -> None:
        """Whatever a text holds, it is text."""
        evil = '<script>alert("1")</script>&amp;'
        for key in ("name", "state", "subject", "x_at", "x_seconds"):
            said = text(key, evil)
            self.assertNotIn("<script", said)
            self.assertIn("&lt;script&gt;", said)
            self.assertIn("&amp;amp;", said)

    def test_states(self) -> None:
        """A state is a badge; one that is not known has no colour, and breaks out of nothing."""
        for word, tone in TONES.items():
            self.assertEqual(text("state", word), f'<span class="badge {tone}">{word}</span>')
        self.assertEqual(text("state", "odd"), '<span class="badge">odd</span>')

    def test_told(self) -> None:
        """For programs: JSON that every parser takes, moments as RFC 3339."""
        value = {
            "state": "up",
            "since_at": NOW,
            "failures": 0,
            "last_failure": None,
            "p50_seconds": 0.000316,
            "courses_by_minute": [0.1234567, None, 2],
            "good": True,
            "whole_at": 1_800_000_000,
            "rows": [{"at": 1, "began_at": 2.0}],
        }
        self.assertEqual(
            json.loads(json.dumps(told("", value), allow_nan=False)),
            {
                "state": "up",
                "since_at": "2027-01-15T08:00:00Z",
                "failures": 0,
                "last_failure": None,
                "p50_seconds": 0.000316,
                "courses_by_minute": [0.123457, None, 2],
                "good": True,
                "whole_at": "2027-01-15T08:00:00Z",
                "rows": [{"at": 1, "began_at": "1970-01-01T00:00:02Z"}],
            },
        )
        for odd in (float("inf"), float("nan"), object()):
            json.dumps(told("x", odd), allow_nan=False)

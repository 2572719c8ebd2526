"""A course of time, drawn and in words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.pages.frame import flat
from toolforge_gateway.pages.sparkline import HEIGHT, PLACES, WIDTH, sparkline


def drawn(values: Sequence[float | None]) -> str:
    return flat(sparkline("Requests", values, lambda value: f"{value:g}")).decode()


def points(svg: str) -> list[list[tuple[float, float]]]:
    """The points of each path."""
    return [
        [(float(x), float(y)) for x, y in re.findall(r"([\d.-]+) ([\d.-]+)", path)]
        for path in re.findall(r' d="([^"]*)"', svg)
    ]


class SparklineTests(SynchronousTestCase):
    def test_nothing(self) -> None:
        """Without a value there is no line, and the words say so."""
        for values in ([], [None], [None, None]):
            svg = drawn(values)
            self.assertEqual(points(svg), [])
            self.assertIn("Requests: nothing yet", svg)

    def test_words(self) -> None:
        """Who cannot see it is told the least, the most and the latest."""
        self.assertIn(
            'aria-label="Requests, the last 3 min: least 1, most 7, latest 4"', drawn([1, 7, 4])
        )
        self.assertIn("latest none", drawn([1, None]))

    def test_newest_at_the_right(self) -> None:
        """However few there are, the newest is at the right edge, and an hour fills it."""
        for count in (2, 10, PLACES):
            (line,) = points(drawn([1.0] * count))
            self.assertEqual(len(line), count)
            self.assertAlmostEqual(line[-1][0], WIDTH, delta=0.1)
        self.assertAlmostEqual(line[0][0], 0, delta=0.1)

    def test_within(self) -> None:
        """Everything is inside the drawing, the most at the top, nought at the bottom; more than
        an hour is cut."""
        (line,) = points(drawn([0.0, 5.0, 1e300, 3.0] * 50))
        self.assertEqual(len(line), PLACES)
        for x, y in line:
            self.assertTrue(-0.1 <= x <= WIDTH + 0.1 and 0 <= y <= HEIGHT, (x, y))
        (line,) = points(drawn([0.0, 5.0]))
        self.assertGreater(line[0][1], line[1][1])

    def test_only_noughts(self) -> None:
        """A course of noughts lies at the bottom, and nothing is divided by them."""
        (line,) = points(drawn([0, 0, 0]))
        self.assertEqual({y for _, y in line}, {HEIGHT - 2.0})

    def test_gap(self) -> None:
        """Minutes without a value are a gap, not a fall to nought; one alone is a dot."""
        lines = points(drawn([1.0, 2.0, None, None, 3.0]))
        self.assertEqual([len(line) for line in lines], [2, 2])
        self.assertEqual(lines[1][0], lines[1][1])

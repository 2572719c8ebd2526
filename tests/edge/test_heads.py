"""Collecting heads from pieces."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.edge.heads import Heads
from toolforge_gateway.http.head import HeadLimits

HEAD = b"GET /jobs HTTP/1.1\r\nHost: a\r\n\r\n"


class HeadsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.heads = Heads(HeadLimits())

    def test_whole(self) -> None:
        """A head that comes by itself is there at once, and nothing is left."""
        self.assertEqual((self.heads.feed(HEAD), self.heads.rest), (HEAD, b""))
        self.assertFalse(self.heads.begun)

    def test_wherever_it_is_cut(self) -> None:
        """In two pieces it is complete with the second, and only then."""
        for at in range(1, len(HEAD)):
            self.assertIsNone(self.heads.feed(HEAD[:at]), at)
            self.assertTrue(self.heads.begun, at)
            self.assertEqual((self.heads.feed(HEAD[at:]), self.heads.rest), (HEAD, b""), at)

    def test_more(self) -> None:
        """What follows is left, a piece of the next head among it."""
        for more in (b"G", b"GET", b"GET ", HEAD, HEAD + b"x"):
            self.assertEqual((self.heads.feed(HEAD + more), self.heads.rest), (HEAD, more))

    def test_empty_line_first(self) -> None:
        """An empty line before a head belongs to it; alone it is none."""
        self.assertIsNone(self.heads.feed(b"\r\n"))
        self.assertEqual(self.heads.feed(HEAD), b"\r\n" + HEAD)
        self.assertEqual(self.heads.feed(b"\r\n" + HEAD), b"\r\n" + HEAD)

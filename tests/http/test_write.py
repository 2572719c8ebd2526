"""Heads as they are written."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.http.write import request_head, response_head


class WriteTests(SynchronousTestCase):
    """Byte for byte."""

    def test_heads(self) -> None:
        """A head is its start line, its fields in order, and a blank line."""
        fields = [(b"Host", b"gw"), (b"X-Empty", b"")]
        self.assertEqual(
            request_head(b"GET", b"/x?y", fields),
            b"GET /x?y HTTP/1.1\r\nHost: gw\r\nX-Empty: \r\n\r\n",
        )
        self.assertEqual(response_head(204, b"No Content", []), b"HTTP/1.1 204 No Content\r\n\r\n")
        self.assertEqual(
            response_head(200, b"", iter(fields), minor=0),
            b"HTTP/1.0 200 \r\nHost: gw\r\nX-Empty: \r\n\r\n",
        )

    def test_no_line_within_a_line(self) -> None:
        """CR, LF or NUL in any part is an error, not a message."""
        for bad in (b"\r", b"\n", b"\0", b"\r\n", b"a\r\nX: y"):
            for fields in ([(b"X", bad)], [(bad, b"x")], [(b"A", b"b"), (b"X", b"a" + bad)]):
                self.assertRaises(ValueError, request_head, b"GET", b"/", fields)
                self.assertRaises(ValueError, response_head, 200, b"OK", fields)
            self.assertRaises(ValueError, request_head, bad, b"/", [])
            self.assertRaises(ValueError, request_head, b"GET", bad, [])
            self.assertRaises(ValueError, response_head, 200, bad, [])

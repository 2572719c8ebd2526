"""Names under all their spellings, and rules that are remembered."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.http.names import Remembered, fold


class NameTests(SynchronousTestCase):
    """Folding, and memory that a stranger cannot fill."""

    def test_fold(self) -> None:
        """All spellings that a CGI-like receiver takes for one name fold to one."""
        for name in (b"X-Toolforge-Tool", b"x_toolforge_TOOL", b"X.Toolforge~Tool"):
            self.assertEqual(fold(name), b"x-toolforge-tool")
        self.assertEqual(fold(b"X-ToolforgeTool"), b"x-toolforgetool")

    def test_a_rule_is_asked_once(self) -> None:
        """The answer for a value that came before is remembered, a falsy one too."""
        asked = []

        def rule(name: bytes) -> bool:
            asked.append(name)
            return name == b"a"

        table = Remembered(rule)
        self.assertEqual([table[b"a"], table[b"b"], table[b"a"], table[b"b"]], [1, 0, 1, 0])
        self.assertEqual(asked, [b"a", b"b"])

    def test_bounded(self) -> None:
        """However many and however long the values are, few bytes are kept."""
        table = Remembered(len)
        for number in range(3 * Remembered.ROOM):
            self.assertEqual(table[b"%d" % number], len(b"%d" % number))
        self.assertEqual(table[b"a" * 10_000], 10_000)
        self.assertLessEqual(len(table), Remembered.ROOM)
        self.assertLessEqual(max(map(len, table)), Remembered.LONGEST)

"""Values of any length over AMP."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.protocols.amp import AMP, AmpBox, Command
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.control.long import LONGEST, PIECE, Json, Long


class Say(Command):
    arguments = [(b"text", Long()), (b"other", Long()), (b"value", Json())]


class LongTests(SynchronousTestCase):
    """What goes into a box comes out of it."""

    def through(self, text: str, other: str = "", value: object = None) -> dict:
        """Into bytes and out of them again, as the wire has it."""
        box = Say.makeArguments({"text": text, "other": other, "value": value}, AMP())
        wire = box.serialize()
        [read] = parsed(wire)
        return Say.parseArguments(read, AMP())

    def test_lengths(self) -> None:
        """Every length around the ends of pieces comes through whole."""
        for length in (0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 1, 1_000_000):
            text = "x" * (length // 2) + "y" * (length - length // 2)
            self.assertEqual(self.through(text, "z")["text"], text, length)

    def test_no_value_is_split_badly(self) -> None:
        """Letters of several bytes that lie across the end of a piece stay whole."""
        for before in range(4):
            text = "x" * (PIECE - before) + "\N{SNOWMAN}\N{GRINNING FACE}" * 40_000
            self.assertEqual(self.through(text)["text"], text)

    def test_file_names(self) -> None:
        """Bytes of a file's name that are no UTF-8 come through as Python holds them."""
        self.assertEqual(self.through("/etc/\udcff")["text"], "/etc/\udcff")

    @given(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists))
    def test_any(self, text: str, value: object) -> None:
        """Any text and any value come through."""
        said = self.through(text, text[::-1], value)
        self.assertEqual(said, {"text": text, "other": text[::-1], "value": value})

    def test_too_long(self) -> None:
        """What is longer than anything real is not sent."""
        self.assertRaises(ValueError, self.through, "x" * (LONGEST + 1))


def parsed(wire: bytes) -> list[AmpBox]:
    """The boxes in some bytes."""
    from twisted.protocols.amp import parseString

    return parseString(wire)

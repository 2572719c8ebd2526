"""From a fuzzer's bytes to an input that is nearly right.

The grammars are compiled expressions, into which coverage cannot see; bytes
alone would hardly ever become a head.  So an input may be spelt: bytes above
0x7f stand for words of the grammar, and changing one exchanges a whole word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import attrs


@attrs.frozen
class Draw:
    """An input of the fuzzer: some knobs, places to cut at, and a message."""

    KNOBS = 4

    knobs: bytes
    message: bytes

    @classmethod
    def of(cls, data: bytes, words: Sequence[bytes] = ()) -> Draw:
        """Take the input apart.

        :param words: what bytes above 0x7f stand for, where the first knob is odd.
        """
        knobs = data[: cls.KNOBS].ljust(cls.KNOBS, b"\0")
        message = data[cls.KNOBS :]
        return cls(knobs, spelt(message, words) if words and knobs[0] & 1 else message)

    def flag(self, bit: int) -> bool:
        """A knob that is on or off; bit 0 says whether the message was spelt."""
        return bool(self.knobs[0] & 1 << bit)

    def pieces(self) -> list[bytes]:
        """The message cut in up to three, as the knobs say."""
        size = len(self.message) + 1
        near, far = self.knobs[1] | self.knobs[3] << 8, self.knobs[2] | self.knobs[3] << 8
        first, second = sorted((near % size, far % size))
        return [self.message[:first], self.message[first:second], self.message[second:]]


def spelt(message: bytes, words: Sequence[bytes]) -> bytes:
    """The message with its bytes above 0x7f exchanged for words."""
    count = len(words)
    return b"".join(
        words[(byte - 0x80) % count] if byte >= 0x80 else bytes((byte,)) for byte in message
    )


def bytewise(data: bytes) -> list[bytes]:
    """The smallest pieces."""
    return [data[at : at + 1] for at in range(len(data))]


Outcome = tuple[object, ...]


def same_in_any_split(draw: Draw, read: Callable[[Sequence[bytes]], Outcome]) -> Outcome:
    """Read the message whole, in a few pieces and byte by byte.

    :return: what each of them came to.
    :raise AssertionError: they did not come to the same.
    """
    whole = read([draw.message])
    for pieces in _splits(draw):
        outcome = read(pieces)
        assert outcome == whole, f"{pieces!r} reads as {outcome!r}, whole as {whole!r}"
    return whole


def _splits(draw: Draw) -> Iterator[list[bytes]]:
    yield draw.pieces()
    if len(draw.message) <= 600:
        yield bytewise(draw.message)

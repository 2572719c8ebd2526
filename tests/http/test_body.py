"""Bodies out of their framing, however they are cut, and into it."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.errors import BadMessage
from toolforge_gateway.http.body import LAST_CHUNK, decoder_for, encode_chunk
from toolforge_gateway.http.head import HeadLimits
from toolforge_gateway.http.message import Framing

from .outcome import PROPERTY, cut, differences, outcome, places

SMALL = HeadLimits(header_block=60, headers=3)


def read(
    framing: Framing, pieces: list[bytes], length: int | None = None, limits: HeadLimits = SMALL
) -> tuple[bytes, bool, bytes]:
    """The payload, whether it is all of it, and what came after it."""
    decoder = decoder_for(framing, length, limits)
    payload = [part for piece in pieces for part in decoder.feed(piece)]
    assert all(payload), "an empty piece of payload is of no use to anybody"
    return b"".join(payload), decoder.finished, decoder.rest


def chunked(data: bytes) -> tuple[bytes, bool, bytes]:
    return read(Framing.CHUNKED, [data])


END = b"0\r\n\r\n"
GOOD = [
    (END, b""),
    (b"5\r\nhello\r\n" + END, b"hello"),
    (b"1\r\na\r\n1\r\nb\r\n" + END, b"ab"),
    (b"A\r\n0123456789\r\n" + END, b"0123456789"),
    (b"a\r\n\r\n0\r\n\r\n\0\xff\r\r\n" + END, b"\r\n0\r\n\r\n\0\xff\r"),
    (b"0000000000000005\r\nhello\r\n" + END, b"hello"),
    (b"5;a\r\nhello\r\n" + END, b"hello"),
    (b"5;a=b;c=d\r\nhello\r\n" + END, b"hello"),
    (b'5; a = "b;\\"\t\xe9" ; c\r\nhello\r\n0;x\r\n\r\n', b"hello"),
    (b"5\r\nhello\r\n0000000000000000\r\n\r\n", b"hello"),
    (b"5\r\nhello\r\n0\r\nX-Toolforge-Tool: x\r\nContent-Length: 9\r\n\r\n", b"hello"),
]

BAD = [
    (b"\r\n", "bad-chunk"),
    (b"x", "bad-chunk"),
    (b"+5\r\nhello\r\n", "bad-chunk"),
    (b"-5\r\nhello\r\n", "bad-chunk"),
    (b" 5\r\nhello\r\n", "bad-chunk"),
    (b"5 \r\nhello\r\n", "bad-chunk"),
    (b"5\t\r\nhello\r\n", "bad-chunk"),
    (b"5 ;a\r\nhello\r\n", "bad-chunk"),
    (b"0x5\r\nhello\r\n", "bad-chunk"),
    (b"5_0\r\nhello\r\n", "bad-chunk"),
    (b"5,5\r\nhello\r\n", "bad-chunk"),
    (b"\xb2\r\nhe\r\n", "bad-chunk"),
    (b"00000000000000005\r\nhello\r\n", "bad-chunk"),
    (b"10000000000000005\r\nhello\r\n", "bad-chunk"),
    (b"8000000000000000\r\n", "bad-chunk"),
    (b"ffffffffffffffff\r\n", "bad-chunk"),
    (b"5\nhello", "bad-chunk"),
    (b"5\rhello", "bad-chunk"),
    (b"5\r\r\nhello", "bad-chunk"),
    (b"5;\r\nhello\r\n", "bad-chunk"),
    (b"5;=b\r\nhello\r\n", "bad-chunk"),
    (b"5;a=\r\nhello\r\n", "bad-chunk"),
    (b"5;a b\r\nhello\r\n", "bad-chunk"),
    (b'5;a="b\r\nhello\r\n', "bad-chunk"),
    (b"5;a\0\r\nhello\r\n", "bad-chunk"),
    (b"5;a\n\r\nhello\r\n", "bad-chunk"),
    (b"5;a \r\nhello\r\n", "bad-chunk"),
    (b"5\r\nhelloX", "bad-chunk"),
    (b"5\r\nhello\n", "bad-chunk"),
    (b"5\r\nhello\rX", "bad-chunk"),
    (b"5\r\nhello0\r\n\r\n", "bad-chunk"),
    (b"4\r\nhello\r\n", "bad-chunk"),
    (b"0\r\nX\r\n\r\n", "bad-header"),
    (b"0\r\nX : y\r\n\r\n", "space-before-colon"),
    (b"0\r\n X: y\r\n\r\n", "folded-header"),
    (b"0\r\nX: y\r\n z\r\n\r\n", "folded-header"),
    (b"0\r\nX: \0\r\n\r\n", "control-character"),
    (b"0\r\nX: y\nY: z\r\n\r\n", "bad-line-end"),
    (b"0\r\n\n", "bad-line-end"),
    (b"0\r\n\rX", "bad-line-end"),
    (b"0\r\n5\r\nhello\r\n", "bad-header"),
]

fragments = st.sampled_from(
    [
        b"0\r\n\r\n",
        b"0\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b"5\r\nhello\r\n",
        b"1;a=b\r\nx\r\n",
        b'3;q="x"\r\nabc\r\n',
        b"2\r\nab",
        b"X: y\r\n",
        b"\0",
        b";",
        b"f",
        b" ",
        b"a" * 20,
        b";" + b"e" * 40,
    ]
)
nearly = st.one_of(st.lists(fragments, max_size=12).map(b"".join), st.binary(max_size=60))


class ChunkedTests(SynchronousTestCase):
    """RFC 9112 section 7.1."""

    def test_good(self) -> None:
        """Chunks give their payload; extensions and trailers are gone; the rest is untouched."""
        table = [(data + b"rest", (payload, True, b"rest")) for data, payload in GOOD]
        self.assertEqual(differences(table, chunked), {})

    def test_bad(self) -> None:
        """A chunked body that others could read differently is refused with 400."""
        table = [(data, (400, word)) for data, word in BAD]
        self.assertEqual(differences(table, chunked), {})

    def test_extensions_are_bounded(self) -> None:
        """A size line of more than 4096 bytes is refused, and so are many extensions."""
        large = (400, "chunk-extensions-too-large")
        roomy = HeadLimits()

        def read_roomy(data: bytes) -> object:
            return read(Framing.CHUNKED, [data], limits=roomy)

        longest = b"1;" + b"e" * 4094
        table = [
            (longest + b"\r\nx\r\n" + END, (b"x", True, b"")),
            (longest + b"e\r\nx\r\n" + END, large),
            (b"1;" + b"e" * 5000, large),
            (b"1;eeee\r\nx\r\n" * 7000 + END, large),
        ]
        self.assertEqual(differences(table, read_roomy), {})

    def test_trailers_are_bounded(self) -> None:
        """Trailers beyond the header limits are refused with 431, also without an end."""
        large = (431, "trailers-too-large")
        table = [
            (b"0\r\n" + b"X: y\r\n" * 3 + b"\r\n", (b"", True, b"")),
            (b"0\r\n" + b"X: y\r\n" * 4, large),
            (b"0\r\nX: " + b"y" * 55 + b"\r\n\r\n", (b"", True, b"")),
            (b"0\r\nX: " + b"y" * 56 + b"\r\n\r\n", large),
            (b"0\r\nX: " + b"y" * 5000, large),
        ]
        self.assertEqual(differences(table, chunked), {})

    def test_many_small_chunks(self) -> None:
        """100,000 chunks of one byte pass, at once and in small pieces."""
        data = b"1\r\na\r\n" * 100_000 + END
        for size in (len(data), 1000):
            pieces = [data[at : at + size] for at in range(0, len(data), size)]
            self.assertEqual(read(Framing.CHUNKED, pieces), (b"a" * 100_000, True, b""))

    def test_payload_is_not_held_back(self) -> None:
        """What has come of an unfinished chunk is handed out at once."""
        decoder = decoder_for(Framing.CHUNKED, None, SMALL)
        self.assertEqual(decoder.feed(b"ffffff\r\nabc"), [b"abc"])
        self.assertEqual(decoder.feed(b"d"), [b"d"])
        self.assertFalse(decoder.finished)

    def test_every_cut_is_noticed(self) -> None:
        """A body that breaks off anywhere before its end is refused at the end."""
        data = b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n"
        for at in range(len(data)):
            decoder = decoder_for(Framing.CHUNKED, None, SMALL)
            decoder.feed(data[:at])
            self.assertEqual(outcome(decoder.eof), (400, "body-cut"), data[:at])
        decoder.feed(data[at:])
        decoder.eof()

    @PROPERTY
    @given(nearly, places)
    @example(b"5\r\nhello\r\n0\r\n\r\nrest", [1, 2, 7, 8, 9, 11, 13, 14])
    @example(b"1;" + b"e" * 4096, [4097, 4098])
    def test_any_split_reads_the_same(self, data: bytes, at: list[int]) -> None:
        """Payload, rest and refusal do not depend on how the bytes are cut."""
        whole = outcome(chunked, data)
        self.assertEqual(outcome(read, Framing.CHUNKED, cut(data, at)), whole)
        bytewise = [data[at : at + 1] for at in range(len(data))]
        self.assertEqual(outcome(read, Framing.CHUNKED, bytewise), whole)

    @PROPERTY
    @given(st.lists(st.binary(max_size=30)), st.binary(max_size=9), places)
    def test_round_trip(self, pieces: list[bytes], rest: bytes, at: list[int]) -> None:
        """What is encoded is decoded, and an empty piece does not end the body."""
        data = b"".join(map(encode_chunk, pieces)) + LAST_CHUNK + rest
        self.assertEqual(read(Framing.CHUNKED, cut(data, at)), (b"".join(pieces), True, rest))


class OtherFramingTests(SynchronousTestCase):
    """Length, none and until the close."""

    @PROPERTY
    @given(st.binary(max_size=30), st.integers(0, 40), places)
    def test_length(self, data: bytes, length: int, at: list[int]) -> None:
        """So many bytes are the body, and those after them are not."""
        expected = data[:length], len(data) >= length, data[length:]
        self.assertEqual(read(Framing.LENGTH, cut(data, at), length), expected)

    def test_no_body(self) -> None:
        """A message without a body is finished before anything comes."""
        for framing in (Framing.NONE, Framing.LENGTH):
            decoder = decoder_for(framing, 0, SMALL)
            self.assertTrue(decoder.finished)
            decoder.eof()
            self.assertEqual((decoder.feed(b"GET"), decoder.rest), ([], b"GET"))

    def test_none_ignores_a_length(self) -> None:
        """The length that an answer to HEAD announces is not waited for."""
        self.assertTrue(decoder_for(Framing.NONE, 5, SMALL).finished)

    def test_a_cut_length(self) -> None:
        """A body shorter than its length is refused at the end, not before."""
        decoder = decoder_for(Framing.LENGTH, 5, SMALL)
        self.assertEqual(decoder.feed(b"hell"), [b"hell"])
        self.assertRaises(BadMessage, decoder.eof)
        decoder.feed(b"o")
        decoder.eof()

    def test_until_close(self) -> None:
        """The end of the connection is the end of the body."""
        decoder = decoder_for(Framing.UNTIL_CLOSE, None, SMALL)
        self.assertEqual((decoder.feed(b"a"), decoder.finished), ([b"a"], False))
        self.assertEqual(decoder.feed(b""), [])
        decoder.eof()
        self.assertTrue(decoder.finished)

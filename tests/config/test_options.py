"""Options: a mapping read key by key, as authenticators see it."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.config.samples import FILE, loaded
from toolforge_gateway.config.options import Options
from toolforge_gateway.interfaces import IOptions


def options(keys: str) -> Options:
    """The options of an authenticator with these keys below its `kind`."""
    (section,) = loaded(
        "authenticators:\n- kind: x\n  " + keys.replace("\n", "\n  ")
    ).authenticators
    return section.options


class OptionsTests(SynchronousTestCase):
    """Reading never raises; it records and gives the default."""

    def assert_lines(self, read: Options, *lines: str) -> None:
        """The complaints so far are exactly these."""
        head = f"{FILE}:"
        self.assertEqual(
            [str(c).removeprefix(head).replace("authenticators[0].", "") for c in read.complaints],
            list(lines),
        )

    def test_interface(self) -> None:
        """It is what authenticators are promised."""
        verifyObject(IOptions, options(""))

    def test_absent(self) -> None:
        """An absent key gives the default and no complaint."""
        read = options("")
        self.assertEqual(
            (read.text("a"), read.text("a", "d"), read.flag("a"), read.flag("a", True),
             read.number("a"), read.number("a", 2), read.texts("a"), read.texts("a", ["d"]),
             read.raw("a"), read.raw("a", 3), read.file("a")),
            (None, "d", False, True, None, 2, (), ("d",), None, 3, None),
        )  # fmt: skip
        self.assert_lines(read)

    def test_required(self) -> None:
        """A required key that is absent is told at the mapping's line, once."""
        read = options("")
        for _ in range(2):
            read.text("a", required=True)
            read.number("b", required=True)
            read.file("c", required=True)
        self.assert_lines(
            read, "2: a: is missing; add it", "2: b: is missing; add it", "2: c: is missing; add it"
        )

    def test_values(self) -> None:
        """Values of the right shape come as they are, files with the folder."""
        read = options("a: x\nb: true\nc: 1.5\nd: [p, 'q']\ne: {f: [1, null]}")
        self.assertEqual(
            (read.text("a"), read.flag("b"), read.number("c", minimum=1.5), read.texts("d"),
             read.raw("e"), read.file("a"), read.raw("kind")),
            ("x", True, 1.5, ("p", "q"), {"f": [1, None]}, FILE.parent / "x", "x"),
        )  # fmt: skip
        self.assertIsInstance(read.file("a"), Path)
        read.finish()
        self.assert_lines(read)

    def test_wrong_shapes(self) -> None:
        """A wrong shape is told in its line, and the default is used."""
        read = options('a: 1\nb: "true"\nc: true\nd: [p, 1]\ne: ""\nf: "x\\ny"\ng: {h: 1}\ni: 1')
        self.assertEqual(
            (read.text("a", "d"), read.flag("b", True), read.number("c", 7), read.texts("d"),
             read.text("e"), read.file("f"), read.text("g"), read.number("i", 9, minimum=2)),
            ("d", True, 7, (), None, None, None, 9),
        )  # fmt: skip
        self.assert_lines(
            read,
            '3: a: is 1, not text; put it in quotes, "..."',
            "4: b: is 'true', not true or false; write true or false",
            "5: c: is true, not a number; write a plain decimal without a unit",
            '6: d[1]: is 1, not text; put it in quotes, "..."',
            "7: e: is empty; give it a value",
            "8: f: has a control character: 'x\\ny'; write one line of printable text",
            "9: g: is a mapping, not text; write text",
            "10: i: is 1; write 2 or more",
        )

    def test_never_read(self) -> None:
        """A key that nobody read is unknown, with what it may have meant."""
        read = options("paramter: t\nzzz: 1")
        read.text("parameter")
        read.finish()
        self.assert_lines(
            read,
            "3: paramter: is no key that is known here; did you mean parameter?",
            "4: zzz: is no key that is known here; known keys: kind, parameter",
        )

    def test_inner_places(self) -> None:
        """A complaint may point inside a value, as deep as the value goes."""
        read = options('superusers:\n  "service:x":\n  - a\n  - b')
        read.raw("superusers")
        read.complain(("superusers", "service:x", 1), "is bad", "mend it")
        read.complain(("superusers", "y", 0), "is not there")
        read.complain("", "is odd as a whole")
        self.assert_lines(
            read,
            "2: authenticators[0]: is odd as a whole",
            "3: superusers.y[0]: is not there",
            '6: superusers["service:x"][1]: is bad; mend it',
        )

    def test_same_twice(self) -> None:
        """Reading again, as a check before a start does, adds no complaint."""
        read = options("a: 1\nb: 2")
        for _ in range(2):
            read.text("a")
            read.warn("a", "is odd")
            read.finish()
        self.assertEqual((len(read.complaints), len(read.warnings)), (2, 1))

    def test_own_report(self) -> None:
        """Complaints of one authenticator are not those of its neighbour."""
        first, second = loaded("authenticators: [{kind: a}, {kind: b}]").authenticators
        first.options.complain("kind", "is bad")
        self.assertEqual((len(first.options.complaints), second.options.complaints), (1, ()))

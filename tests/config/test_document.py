"""YAML text to nodes: what is read, and what is refused."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.config.samples import complaints
from toolforge_gateway.config.document import (
    MAXIMUM_DEPTH,
    Mapping,
    Node,
    Sequence,
    compose,
    dotted,
    plain,
    printable,
    resolve,
)
from toolforge_gateway.config.values import Origin


def read(text: str) -> Node | None:
    """The tree of a text that nothing is wrong with."""

    def complain(origin: Origin, what: str, remedy: str) -> None:
        raise AssertionError(str(origin.complaint(what, remedy)))

    return compose(text, complain, "g.yaml")


class ScalarTests(SynchronousTestCase):
    """What an unquoted word is."""

    def test_core_schema(self) -> None:
        """Booleans, null and decimal numbers are what they look like."""
        for text, value in [
            ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
            ("0", 0), ("-12", -12), ("+7", 7), ("1.5", 1.5), ("2e3", 2000.0), ("1.0E-2", 0.01),
        ]:  # fmt: skip
            self.assertEqual((resolve(text), type(resolve(text))), (value, type(value)), text)

    def test_surprises_are_text(self) -> None:
        """What YAML 1.1 turns into something that nobody wrote stays text."""
        for text in ["no", "on", "Yes", "0x10", "010", "1_000", "1:30", "2026-08-18", ".inf",
                     ".nan", "1.", ".5", "9" * 5000, "1e999", "=", "<<"]:  # fmt: skip
            self.assertEqual(resolve(text), text)

    def test_quotes_make_text(self) -> None:
        """A quoted number, boolean or nothing is text, and so is a tagged one."""
        node = read("['1', \"true\", '', !!str 5, ! 6]")
        assert node is not None
        self.assertEqual(plain(node), ["1", "true", "", "5", "6"])


class TreeTests(SynchronousTestCase):
    """Collections, lines and anchors."""

    def test_lines(self) -> None:
        """Entries know the line of their key, items that of their first sign."""
        root = read("# comment\na:\n  - x\n  -\n    b: 1\n\nc: {\n d: 2}\n")
        assert isinstance(root, Mapping)
        items = root.entries["a"].node
        inner = root.entries["c"].node
        assert isinstance(items, Sequence) and isinstance(inner, Mapping)
        self.assertEqual(
            (root.entries["a"].line, [item.line for item in items.items], inner.entries["d"].line),
            (2, [3, 5], 8),
        )

    def test_nothing(self) -> None:
        """A file of comments, or with an empty document, has no tree."""
        for text in ["", "# only this\n", "---\n", "---\n...\n"]:
            self.assertIsNone(read(text))

    def test_alias(self) -> None:
        """An alias stands for its anchor's value, the latest one of that name."""
        node = read("a: &x [1]\nb: *x\nc: &x 2\nd: *x\n")
        assert node is not None
        self.assertEqual(plain(node), {"a": [1], "b": [1], "c": 2, "d": 2})

    def test_keys_are_text(self) -> None:
        """A key is text, whatever it would be as a value."""
        node = read("1: a\ntrue: b\n~: c\n'': d\n2.5: e\n")
        assert isinstance(node, Mapping)
        self.assertEqual(list(node.entries), ["1", "true", "none", "", "2.5"])

    def test_deepest(self) -> None:
        """Nesting is allowed to the limit."""
        self.assertIsNotNone(read("[" * MAXIMUM_DEPTH + "]" * MAXIMUM_DEPTH))

    def test_dotted(self) -> None:
        """Paths are shown with dots and brackets, odd keys in quotes."""
        self.assertEqual(dotted(("a", 1, 2, "b-c", "x.y z")), 'a[1][2].b-c["x.y z"]')

    def test_printable(self) -> None:
        """What a terminal could act upon is shown as an escape, and it is short."""
        self.assertEqual(printable("a\x1b[2J\nß\u202e"), "a\\x1b[2J\\nß\\u202e")
        self.assertEqual(printable("x" * 100), "x" * 60 + "...")


class RefusalTests(SynchronousTestCase):
    """Texts that are no configuration at all."""

    def test_table(self) -> None:
        """Each unreadable text earns one complaint that points at the place."""
        syntax = "check indentation, quotes and colons there and on the line before"
        deep = f"is nested more than {MAXIMUM_DEPTH} deep; make it flatter"
        bomb = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
            f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n"
            for old, new in [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")]
        )
        for text, line in [
            ("a: [1\nb: 2\n", f"g.yaml:2: is not YAML: expected ',' or ']', but got ':'; {syntax}"),
            ("a: 1\n b: 2\n",
             f"g.yaml:2: is not YAML: mapping values are not allowed here; {syntax}"),
            ("a: 1\n\tb: 2\n", "g.yaml:2: is not YAML: found character '\\t' that cannot start "
             f"any token; {syntax}"),
            ("a: \x00\n", "g.yaml:1: has a character that YAML does not allow; remove it"),
            ("a: 1\nb: \x1b\n", "g.yaml:2: has a character that YAML does not allow; remove it"),
            ('a: "\\UFFFFFFFF"\n', f"g.yaml: has an escape that is no character; {syntax}"),
            ('\na: "\\ud800"\n', f"g.yaml:2: has an escape that is no character; {syntax}"),
            ("", "g.yaml: is empty; write keys such as listen and backends"),
            ("- a\n", "g.yaml: is no mapping; write keys such as listen and backends"),
            ("a: 1\n---\nb: 1\n", "g.yaml:2: has a second document; keep one document in one file"),
            ("a: *x\n", "g.yaml:1: *x stands for nothing; write &x before a value further up"),
            ("a: &x [*x]\n", "g.yaml:1: *x stands for nothing; write &x before a value further up"),
            ("\n" + "[" * 33, "g.yaml:2: " + deep),
            ("[" * 100_000, "g.yaml:1: " + deep),
            ("{a: " * 33, "g.yaml:1: " + deep),
            ("a: &a " + "[" * 20 + "]" * 20 + "\nb: " + "[" * 12 + "*a",
             "g.yaml:2: stands for more than 20000 values or 32 levels; use fewer aliases"),
            (bomb, "g.yaml:5: stands for more than 20000 values or 32 levels; use fewer aliases"),
        ]:  # fmt: skip
            self.assertEqual(complaints(text), [line], text[:50])

    def test_all_the_same(self) -> None:
        """Doubled keys, tags and keys that are collections do not end the reading."""
        self.assertEqual(
            complaints("a: !!python/name:os.system x\nb: 1\nb: 2\n? [k]\n: 3\n<<: {c: 1}\n")[1:],
            [
                "g.yaml:1: a: has the tag tag:yaml.org,2002:python/name:os.system; remove the tag",
                "g.yaml:1: a: is no key that is known here; known keys: listen, operations, "
                "control, workers, timeouts, limits, upstream_tls, cluster_domain, backends, "
                "openapi_docs, authenticators, auth, allowed_origins, "
                "access_log",
                "g.yaml:2: b: is no key that is known here; known keys: listen, operations, "
                "control, workers, timeouts, limits, upstream_tls, cluster_domain, backends, "
                "openapi_docs, authenticators, auth, allowed_origins, "
                "access_log",
                "g.yaml:3: b: is given twice, first in line 2; keep one of them",
                "g.yaml:4: has a key that is no text; write a word",
                'g.yaml:6: ["<<"]: is a merge key; write the merged keys out',
            ],
        )

"""Bytes to a tree."""

from __future__ import annotations

import json

from hypothesis import given, settings, strategies
from twisted.trial.unittest import SynchronousTestCase

from toolforge_gateway.openapi.plain import DEPTH, NODES
from toolforge_gateway.openapi.read import Unreadable, read

LAUGHS = b"a: &a [x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (n + 1, n + 1, b",".join([b"*%c" % n] * 8)) for n in range(97, 110)
)

READABLE: list[tuple[str, bytes, object]] = [
    ("JSON", b'{"a": [1, 2.5, true, null, "x"]}', {"a": [1, 2.5, True, None, "x"]}),
    ("JSON after a byte order mark", b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
    ("JSON beyond ASCII", '{"a": "ä"}'.encode(), {"a": "ä"}),
    ("YAML", b"a:\n- 1\n- b", {"a": [1, "b"]}),
    ("YAML that looks like JSON", b"{a: 1}", {"a": 1}),
    ("words that were booleans in 1.1", b"a: [on, yes, off, n]", {"a": ["on", "yes", "off", "n"]}),
    ("a date, a time", b"a: [2026-08-18, 1:30]", {"a": ["2026-08-18", "1:30"]}),
    ("numbers of 1.2", b"a: [0x1F, 0o17, 017, .5, 1e3]", {"a": [31, 15, 17, 0.5, 1000.0]}),
    ("no numbers of 1.2", b"a: [1_000, 0b1, .inf]", {"a": ["1_000", "0b1", ".inf"]}),
    ("keys are text", b"200: a\non: b\nnull: c", {"200": "a", "on": "b", "null": "c"}),
    ("nothing", b"a:\nb: ~", {"a": None, "b": None}),
    ("quoted", b"a: ['1', \"true\"]", {"a": ["1", "true"]}),
    ("tags of the core schema", b"a: [!!str 1, !!int '2', !!float 3]", {"a": ["1", 2, 3.0]}),
    (
        "merge keys",
        b"a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: [*a, *b], x: 5}\nd: {'<<': 1}",
        {
            "a": {"x": 1, "y": 2},
            "b": {"y": 3, "z": 4},
            "c": {"x": 5, "y": 2, "z": 4},
            "d": {"<<": 1},
        },
    ),
    ("an alias", b"a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
]

UNREADABLE: list[tuple[str, bytes, str]] = [
    ("nothing", b" \n", "is empty"),
    ("a list", b"[1]", "is no object"),
    ("a page of HTML", b"<html><body>Sorry</body></html>", "is no object"),
    ("broken JSON", b'{"a": }', "is not JSON"),
    ("a key twice in JSON", b'{"a": 1, "a": 2}', "'a' twice"),
    ("a key twice in YAML", b"a: 1\nb: 2\na: 3", "line 3: the key 'a' is there twice"),
    ("no number", b'{"a": NaN}', "NaN is no number"),
    ("a number too large", b'{"a": 1e999}', "a number that JSON does not have"),
    ("a number too large in YAML", b"a: 1e999", "no number that JSON has"),
    ("a very long number", b'{"a": ' + b"1" * 5000 + b"}", "more than 300 digits"),
    ("half a surrogate pair", b'{"a": "\\ud800"}', "surrogate"),
    ("half a surrogate pair in a key", b'{"\\ud800": 1}', "surrogate"),
    ("bytes that are no text", b"\xff\xfea: \xff", "UTF-8"),
    ("a control sign", b"a: \x00", "not allowed"),
    ("deep JSON", b'{"a":' * 100_000, "nested"),
    ("JSON a little too deep", b'{"a":' * (DEPTH + 1) + b"1" + b"}" * (DEPTH + 1), "nested"),
    ("deep YAML", b"a: " + b"[" * 100_000, "nested"),
    ("a billion laughs", LAUGHS, f"more than {NODES} values"),
    ("an alias of itself", b"a: &a [*a]", "stands for nothing"),
    ("a merge key before a text", b"b: {<<: a}", "no mapping"),
    ("two merge keys", b"a: &a {x: 1}\nb: {<<: *a, <<: *a}", "there twice"),
    ("a key that is a list", b"? [a]\n: b", "a key is no text"),
    ("a tag that makes objects", b"a: !!python/object:os.system x", "tag"),
    ("a binary", b"a: !!binary aGk=", "tag"),
    ("two documents", b"a: 1\n---\nb: 2", "second document"),
    ("an escape beyond Unicode", b'a: "\\UFFFFFFFF"', "is not YAML"),
    ("a broken indentation", b"a:\n  b: 1\n c: 2", "is not YAML, line"),
]


class ReadTests(SynchronousTestCase):
    """`read`, by tables."""

    def test_readable(self) -> None:
        """Each of these is read as it says."""
        for name, data, tree in READABLE:
            self.assertEqual(read(data), tree, name)

    def test_unreadable(self) -> None:
        """Each of these is refused in a sentence that says why."""
        for name, data, why in UNREADABLE:
            self.assertIn(why, str(self.assertRaises(Unreadable, read, data)), name)

    def test_media_type(self) -> None:
        """What calls itself JSON must be; anything else may be either."""
        for media_type in ("application/json", "application/vnd.oai.openapi+json; version=3.1"):
            error = self.assertRaises(Unreadable, read, b"a: 1", media_type)
            self.assertIn("is not JSON", str(error))
        for media_type in ("", "text/plain", "application/yaml", "text/html; charset=utf-8"):
            self.assertEqual(read(b"a: 1", media_type), {"a": 1})
            self.assertEqual(read(b'{"a": 1}', media_type), {"a": 1})

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(strategies.binary(max_size=200) | strategies.text(max_size=200).map(str.encode))
    def test_anything(self, data: bytes) -> None:
        """Any bytes are a tree that JSON can say, or refused."""
        for media_type in ("", "application/json"):
            try:
                tree = read(data, media_type)
            except Unreadable:
                continue
            self.assertEqual(json.loads(json.dumps(tree, allow_nan=False)), tree)

"""Whether a default fits its schema."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings, strategies
from jsonschema import Draft202012Validator
from twisted.trial.unittest import SynchronousTestCase

from tests.openapi.mutation import VALUES
from toolforge_gateway.openapi.defaults import fits
from toolforge_gateway.openapi.pointer import look_up, place_of

ROOT = {"$defs": {"text": {"type": "string"}, "loop": {"$ref": "#/$defs/loop"}}}

CASES: list[tuple[Any, Any, bool | None]] = [
    ("a", True, True),
    ("a", False, False),
    ("a", {}, True),
    ("a", {"type": "string"}, True),
    (1, {"type": "string"}, False),
    (None, {"type": ["string", "null"]}, True),
    (True, {"type": "integer"}, False),
    (1.0, {"type": "integer"}, True),
    (1.5, {"type": "integer"}, False),
    (True, {"enum": [1]}, False),
    ([1, {"a": 2}], {"const": [1, {"a": 2}]}, True),
    ([True], {"const": [1]}, False),
    (5, {"minimum": 5, "maximum": 5}, True),
    (5, {"exclusiveMinimum": 5}, False),
    (5, {"exclusiveMaximum": 5}, False),
    (6, {"multipleOf": 4}, False),
    (0.3, {"multipleOf": 0.1}, None),
    (2**31, {"type": "integer", "format": "int32"}, False),
    ("abc", {"minLength": 4}, False),
    ("abc", {"pattern": "^b"}, False),
    ("abc", {"pattern": "b"}, True),
    ("abc", {"pattern": "^(a|b)[a-z]{2}$"}, True),
    ("a" * 60 + "!", {"pattern": "^(a+)+$"}, None),
    ("a" * 60 + "!", {"pattern": "a*a*a*a*a*b"}, None),
    ("a" * 60 + "!", {"pattern": r"(a+)\1$"}, None),
    ("a" * 5000, {"pattern": "^a+$"}, None),
    ({"a" * 60: 1}, {"patternProperties": {"(a+)+!": {}}}, None),
    ("2026-01-01", {"format": "date"}, None),
    ([1, 1.0], {"uniqueItems": True}, False),
    ([1, "a"], {"prefixItems": [{"type": "integer"}], "items": {"type": "string"}}, True),
    ([1, 2], {"items": {"type": "string"}}, False),
    ([1], {"minItems": 2}, False),
    ({"a": 1}, {"required": ["b"]}, False),
    ({"a": 1}, {"properties": {"a": {"type": "string"}}}, False),
    ({"a": 1}, {"additionalProperties": False}, False),
    ({"a": 1}, {"patternProperties": {"^a": {}}, "additionalProperties": False}, True),
    ({"a": 1}, {"propertyNames": {"maxLength": 0}}, False),
    ("a", {"$ref": "#/$defs/text"}, True),
    (1, {"$ref": "#/$defs/text"}, False),
    (1, {"$ref": "#/$defs/loop"}, None),
    (1, {"allOf": [{"type": "integer"}, {"minimum": 2}]}, False),
    (1, {"anyOf": [{"type": "string"}, {"minimum": 1}]}, True),
    (1, {"oneOf": [{"type": "integer"}, {"minimum": 1}]}, False),
    (1, {"not": {"type": "integer"}}, False),
    (1, {"if": {}, "then": False}, None),
    (1, {"type": "string", "if": {}}, False),
]


def follow(tree: Any) -> Any:
    """The schema at the other end of a reference, of ROOT."""
    return look_up(ROOT, place_of(tree["$ref"][1:]) or ())


class FitsTests(SynchronousTestCase):
    """`fits`, by a table and beside a real validator."""

    def test_cases(self) -> None:
        """Each case of the table is as it says."""
        for value, schema, wanted in CASES:
            self.assertIs(fits(value, schema, follow), wanted, (value, schema))

    def test_beside_a_validator(self) -> None:
        """What it is sure of, a validator of JSON Schema says as well."""
        schemas = [schema for _, schema, _ in CASES if "loop" not in str(schema)]

        @settings(max_examples=300, deadline=None, derandomize=True)
        @given(VALUES, strategies.sampled_from(schemas), strategies.sampled_from(schemas))
        def check(value: Any, one: Any, other: Any) -> None:
            schema = {"allOf": [one], "anyOf": [other, one]}
            verdict = fits(value, schema, follow)
            if verdict is not None and "int32" not in str(schema):
                real = Draft202012Validator({**ROOT, **schema}).is_valid(value)
                self.assertIs(verdict, real, (value, schema))

        check()

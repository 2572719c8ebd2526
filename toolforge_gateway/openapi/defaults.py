"""Whether a default fits its schema: one that does not makes a document invalid.

Not a JSON Schema validator: it is asked about defaults alone, which are small, and it may say that
it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs

from toolforge_gateway.openapi.vocabulary import is_number

_DEEPEST = 30
_PLAIN = frozenset(
    ["int32", "int64", "float", "double", "password", "binary", "byte"]
    # Only a hint for people:
    + ["html", "markdown", "textarea", "commonmark", "char", "media-range"]
)
"""Formats that any value of the right type and range has."""
_RANGES = {"int32": 31, "int64": 63}
_UNKNOWN = (
    "$dynamicRef",
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "unevaluatedItems",
    "unevaluatedProperties",
)


_REPEATS = re.compile(r"[*+?{]")
_REPEATED_GROUP = re.compile(r"\)[*+?{]|\\[1-9]|\(\?P=")
"""A group that is repeated, or repeated later on by a back reference."""


class _Unknown(Exception):
    """It cannot be told."""


@attrs.define
class Budget:
    """Steps that judging may take in all: some small schemas take for ever."""

    steps: int = 100_000


def fits(
    value: Any, schema: Any, follow: Callable[[Any], Any], budget: Budget | None = None
) -> bool | None:
    """Whether a value is what a schema of 3.1 describes.

    :param follow: gives the schema that a reference stands for.
    :param budget: shared by all that are to be judged together.
    :return: None: it cannot be told.
    """
    try:
        return _Judge(follow, budget or Budget()).fits(value, schema, 0)
    except (_Unknown, RecursionError, re.error):
        return None


@attrs.frozen
class _Judge:
    follow: Callable[[Any], Any]
    budget: Budget

    def fits(self, value: Any, schema: Any, depth: int) -> bool:
        self.budget.steps -= 1
        if self.budget.steps < 0:
            raise _Unknown
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict) or depth > _DEEPEST:
            raise _Unknown
        if "$ref" in schema:
            target = self.follow(schema)
            if target is schema or not self.fits(value, target, depth + 1):
                return self._fails(target is schema)
        if not self._alone(value, schema):
            return False
        return self._inside(value, schema, depth + 1) and self._combined(value, schema, depth + 1)

    @staticmethod
    def _fails(unknown: bool) -> bool:
        if unknown:
            raise _Unknown
        return False

    def _alone(self, value: Any, schema: dict[str, Any]) -> bool:
        """What can be said without another schema."""
        kinds = schema.get("type")
        if kinds is not None:
            wanted = [kinds] if isinstance(kinds, str) else kinds
            if not any(_is(value, kind) for kind in wanted):
                return False
        if "enum" in schema and not any(_same(value, each) for each in schema["enum"]):
            return False
        if "const" in schema and not _same(value, schema["const"]):
            return False
        if any(word in schema for word in _UNKNOWN):
            raise _Unknown
        if is_number(value):
            return _number(value, schema)
        if isinstance(value, str):
            return _text(value, schema)
        if isinstance(value, list):
            if schema.get("uniqueItems"):
                self.budget.steps -= len(value) ** 2
                if self.budget.steps < 0:
                    raise _Unknown
                if _repeats(value):
                    return False
            return _between(len(value), schema, "minItems", "maxItems")
        if isinstance(value, dict):
            return set(schema.get("required", ())) <= value.keys() and _between(
                len(value), schema, "minProperties", "maxProperties"
            )
        return True

    def _inside(self, value: Any, schema: dict[str, Any], depth: int) -> bool:
        """Items and properties."""
        if isinstance(value, list):
            first = schema.get("prefixItems", [])
            rest = schema.get("items", True)
            return all(
                self.fits(item, first[n] if n < len(first) else rest, depth)
                for n, item in enumerate(value)
            )
        if isinstance(value, dict):
            names = schema.get("propertyNames", True)
            return all(
                self.fits(key, names, depth) and self._property(key, item, schema, depth)
                for key, item in value.items()
            )
        return True

    def _property(self, key: str, value: Any, schema: dict[str, Any], depth: int) -> bool:
        patterns = schema.get("patternProperties", {})
        wanted = [each for pattern, each in patterns.items() if _matches(pattern, key)]
        if key in schema.get("properties", {}):
            wanted.append(schema["properties"][key])
        if not wanted:
            wanted = [schema.get("additionalProperties", True)]
        return all(self.fits(value, each, depth) for each in wanted)

    def _combined(self, value: Any, schema: dict[str, Any], depth: int) -> bool:
        def fits(each: Any) -> bool:
            return self.fits(value, each, depth)

        return (
            all(map(fits, schema.get("allOf", [])))
            and ("anyOf" not in schema or any(map(fits, schema["anyOf"])))
            and ("oneOf" not in schema or sum(map(fits, schema["oneOf"])) == 1)
            and ("not" not in schema or not fits(schema["not"]))
        )


def _is(value: Any, kind: str) -> bool:
    if kind == "integer":
        return is_number(value) and value == int(value)
    if kind == "number":
        return is_number(value)
    return isinstance(
        value,
        {"array": list, "boolean": bool, "null": type(None), "object": dict, "string": str}[kind],
    )


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON has it, where true is not 1."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _repeats(items: list[Any]) -> bool:
    return any(_same(item, other) for n, item in enumerate(items) for other in items[:n])


def _number(value: Any, schema: dict[str, Any]) -> bool:
    bits = _RANGES.get(schema.get("format", ""))
    if bits is not None and not -(1 << bits) <= value < 1 << bits:
        return False
    if "multipleOf" in schema:
        step = schema["multipleOf"]
        if isinstance(value, float) or isinstance(step, float):
            raise _Unknown
        if value % step:
            return False
    return (
        value >= schema.get("minimum", value)
        and value <= schema.get("maximum", value)
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
    )


def _text(value: str, schema: dict[str, Any]) -> bool:
    if schema.get("format", "password") not in _PLAIN:
        raise _Unknown
    if "pattern" in schema and not _matches(schema["pattern"], value):
        return False
    return _between(len(value), schema, "minLength", "maxLength")


def _matches(pattern: str, text: str) -> bool:
    """Whether an author's regular expression is found in an author's text.

    One that goes back and forth could take years, with nothing else running meanwhile: so only
    those are tried that repeat few things, and nothing that may have repetitions in it.
    """
    repeats = len(_REPEATS.findall(pattern))
    if repeats > 3 or len(text) > 200 or _REPEATED_GROUP.search(pattern):
        raise _Unknown
    return re.search(pattern, text) is not None


def _between(size: int, schema: dict[str, Any], least: str, most: str) -> bool:
    return bool(schema.get(least, size) <= size <= schema.get(most, size))

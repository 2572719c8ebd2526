"""The keywords of a Schema Object, by what they hold.

Source: JSON Schema 2020-12, Core and Validation, and OpenAPI 3.1.1 section 4.8.24.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

TYPES = frozenset(["array", "boolean", "integer", "null", "number", "object", "string"])

SCHEMA = frozenset(
    [
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    ]
)
"""Keywords that hold a schema."""

SCHEMAS = frozenset(["allOf", "anyOf", "oneOf", "prefixItems"])
"""Keywords that hold a list of schemas, never an empty one."""

NAMED_SCHEMAS = frozenset(
    ["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"]
)
"""Keywords that hold schemas by name."""

PAYLOADS = frozenset(["const", "default", "example"])
"""Keywords that hold any value."""

ANNOTATIONS: Mapping[str, type] = {
    "$comment": str,
    "contentEncoding": str,
    "contentMediaType": str,
    "deprecated": bool,
    "description": str,
    "examples": list,
    "format": str,
    "readOnly": bool,
    "title": str,
    "writeOnly": bool,
}
"""Keywords that refuse no value, so that one that is no good can go."""

IDENTITY = frozenset(["$anchor", "$dynamicAnchor", "$dynamicRef", "$id", "$schema", "$vocabulary"])
"""Keywords that 3.0 does not have, and that say what a schema is called."""

ANCHOR = re.compile(r"[A-Za-z_][-A-Za-z0-9._]*")


def is_number(value: Any) -> bool:
    """Whether it is a number; a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_count(value: Any) -> bool:
    """Whether it is a whole number from 0 on; 2.0 is one (Validation section 6.3)."""
    return is_number(value) and value >= 0 and value == math.floor(value)


def is_type(value: Any) -> bool:
    """Whether it is a name of a type, or a list of different ones."""
    if isinstance(value, str):
        return value in TYPES
    return _are_texts(value) and bool(value) and set(value) <= TYPES


def is_pattern(value: Any) -> bool:
    """Whether it is a regular expression that Python understands as well as ECMA-262."""
    if not isinstance(value, str):
        return False
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def _are_texts(value: Any) -> bool:
    return (
        isinstance(value, list)
        and all(isinstance(item, str) for item in value)
        and len(set(value)) == len(value)
    )


def _are_dependencies(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_are_texts, value.values()))


ASSERTIONS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "dependentRequired": (_are_dependencies, "lists of different names"),
    "enum": (lambda value: isinstance(value, list), "a list"),
    "exclusiveMaximum": (is_number, "a number"),
    "exclusiveMinimum": (is_number, "a number"),
    "maxContains": (is_count, "a whole number from 0 on"),
    "maximum": (is_number, "a number"),
    "maxItems": (is_count, "a whole number from 0 on"),
    "maxLength": (is_count, "a whole number from 0 on"),
    "maxProperties": (is_count, "a whole number from 0 on"),
    "minContains": (is_count, "a whole number from 0 on"),
    "minimum": (is_number, "a number"),
    "minItems": (is_count, "a whole number from 0 on"),
    "minLength": (is_count, "a whole number from 0 on"),
    "minProperties": (is_count, "a whole number from 0 on"),
    "multipleOf": (lambda value: is_number(value) and value > 0, "a number above 0"),
    "pattern": (is_pattern, "a regular expression"),
    "required": (_are_texts, "a list of different names"),
    "type": (is_type, f"one of {', '.join(sorted(TYPES))}, or a list of these"),
    "uniqueItems": (lambda value: isinstance(value, bool), "true or false"),
}
"""Keywords that refuse values: whether one is as it must be, and how that is said."""

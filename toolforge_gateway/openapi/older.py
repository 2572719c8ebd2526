"""Schemas of OpenAPI 3.0 as those of 3.1.

3.0's are a dialect of JSON Schema's draft 5, 3.1's are JSON Schema 2020-12 (OpenAPI 3.1.1 section
4.8.24).  Where the letter of 3.0 and what every tool makes of it differ, the tools' reading counts:
a `nullable` beside an `enum`, an `allOf` or a `$ref` lets null through.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from toolforge_gateway.openapi.vocabulary import is_number

Remark = tuple[str, str, str]
"""A keyword, what was wrong with it, and what to write."""

NULL = {"type": "null"}
_COMBINED = ("allOf", "anyOf", "oneOf", "not")
_BESIDE_REF = ("$ref", "description", "title", "nullable")
_OUTSIDE = frozenset(
    [
        "default",
        "deprecated",
        "description",
        "examples",
        "externalDocs",
        "readOnly",
        "title",
        "writeOnly",
        "xml",
    ]
)
"""What describes a value stays outside when the rest moves into an `anyOf`."""


@attrs.frozen
class Converted:
    """A schema of 3.1."""

    outer: dict[str, Any]
    inner: dict[str, Any]
    """The one with the original's `$ref` and `discriminator`: `outer` unless it was wrapped."""
    shifts: dict[str, tuple[str, ...]]
    """Keyword of the original to where its value is now, from `outer` on; others stayed."""
    remarks: tuple[Remark, ...]


def convert(schema: dict[str, Any]) -> Converted:
    """Convert one schema, whose subschemas have been converted.

    :param schema: may be changed.
    """
    remarks = tuple(_beside_ref(schema)) if "$ref" in schema else tuple(_keywords(schema))
    nullable = schema.pop("nullable", False) is True
    if not nullable:
        return Converted(schema, schema, {}, remarks)
    if "$ref" not in schema and not any(word in schema for word in _COMBINED):
        _let_null_through(schema)
        return Converted(schema, schema, {}, remarks)
    return _wrapped(schema, remarks)


def _beside_ref(schema: dict[str, Any]) -> Iterator[Remark]:
    """3.0.4 section 4.7.23: what stands beside `$ref` is ignored."""
    if schema.get("nullable") is True:
        yield "nullable", "stands beside $ref, where 3.0 ignores it; taken as meant", _ALL_OF
    for word in [word for word in schema if word not in _BESIDE_REF]:
        del schema[word]
        if not word.startswith("x-"):
            yield word, "stands beside $ref, where 3.0 ignores it, and is left out", _ALL_OF


_ALL_OF = "write allOf: [{$ref: ...}] and put it beside that"


def _keywords(schema: dict[str, Any]) -> Iterator[Remark]:
    for bound, strict in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        value = schema.get(strict)
        if not isinstance(value, bool):
            continue
        del schema[strict]
        if value and is_number(schema.get(bound)):
            schema[strict] = schema.pop(bound)
        elif value:
            yield strict, f"is true without a {bound}, and is left out", f"give {bound}"
    if "example" in schema:
        example = schema.pop("example")
        schema.setdefault("examples", [example])
    if schema.get("type", "string") == "string":
        _content(schema)


def _content(schema: dict[str, Any]) -> None:
    """Formats that have become keywords of their own (3.1.1 section 4.8.14)."""
    form = schema.get("format")
    if form in ("byte", "base64"):
        del schema["format"]
        schema.setdefault("contentEncoding", "base64")
    elif form == "binary":
        # The format stays: it means nothing else in 3.1, and client generators tell files by it.
        schema.setdefault("contentMediaType", "application/octet-stream")


def _let_null_through(schema: dict[str, Any]) -> None:
    kind = schema.get("type")
    if isinstance(kind, str) and kind != "null":
        schema["type"] = [kind, "null"]
    elif isinstance(kind, list) and "null" not in kind:
        schema["type"] = [*kind, "null"]
    if "enum" in schema and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]


def _wrapped(schema: dict[str, Any], remarks: tuple[Remark, ...]) -> Converted:
    outer = {word: value for word, value in schema.items() if _describes(word)}
    inner = {word: value for word, value in schema.items() if not _describes(word)}
    words = list(inner)
    shifts: dict[str, tuple[str, ...]]
    for word in ("anyOf", "oneOf"):
        if words == [word]:
            return Converted({**schema, word: [*schema[word], dict(NULL)]}, schema, {}, remarks)
    if words == ["allOf"] and len(inner["allOf"]) == 1:
        # Its only schema takes the place of the list.
        outer["anyOf"] = [inner["allOf"][0], dict(NULL)]
        shifts = {"allOf": ("anyOf",)}
    else:
        outer["anyOf"] = [inner, dict(NULL)]
        shifts = {word: ("anyOf", "0", word) for word in inner}
    return Converted(outer, inner, shifts, remarks)


def _describes(word: str) -> bool:
    return word in _OUTSIDE or word.startswith("x-")

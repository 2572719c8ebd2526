"""Valid documents of all shapes that the grammar has: a strategy for hypothesis.

Goes by the product's own table, so what the table does not have is not drawn; `mutation` and the
tables of cases are for that.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies
from hypothesis.strategies import DrawFn

from toolforge_gateway.openapi import grammar
from toolforge_gateway.openapi.grammar import METHODS, SECTIONS, SHAPES

NAMES = ("A", "B-c", "d.e_f")
KEYS = strategies.sampled_from(["a", "X-B", "a/b", "c~d", "{e}", "ä", "$ref-", "f g"])
TEXT = strategies.sampled_from(["", "text", "Mehr als ASCII: ä", "#/components/schemas/A"])
PAYLOAD = strategies.sampled_from(
    [None, True, 0, -1.5, "x", [], {}, {"$ref": "#/components/schemas/A"}, [{"nullable": True}]]
)
URLS = strategies.sampled_from(["https://example.org/x", "https://example.org/y#z"])
SECTION_OF = {kind: section for section, kind in SECTIONS.items()}
DEEPEST = 5

SIMPLE: list[dict[str, Any]] = [
    {},
    {"type": "string"},
    {"type": "object", "title": "T", "example": {"$ref": "#/nowhere"}},
    {"type": ["integer", "null"], "minimum": 1, "exclusiveMaximum": 9, "default": 3},
    {"enum": ["a", None, {"$ref": "x"}], "x-more": {"$ref": "y"}},
    {"const": 5, "deprecated": True, "description": "d"},
    {"type": "array", "items": True, "default": [], "uniqueItems": True},
    {"type": "string", "pattern": "^[a-z]+$", "format": "uuid", "minLength": 1},
    {"required": ["a"], "properties": {"a": {"readOnly": True}}, "default": {"a": 1}},
]


@strategies.composite
def documents(draw: DrawFn) -> dict[str, Any]:
    """A whole document."""
    components = {
        section: {name: _object(draw, kind, 0) for name in NAMES}
        for section, kind in SECTIONS.items()
        if kind not in ("schema", "path item")
    }
    components["schemas"] = {name: _schema(draw, 0) for name in NAMES}
    components["schemas"]["A"] = {"type": "object", "properties": {"again": _schema(draw, 2)}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": draw(TEXT), "version": "1"},
        "paths": {f"/v1/{n}": _object(draw, "path item", 0) for n in range(3)},
        "webhooks": {"hook": _object(draw, "path item", 2)},
        "components": components,
        "tags": [{"name": "t", "description": draw(TEXT)}],
    }
    _name_operations(document)
    return document


def _name_operations(document: dict[str, Any]) -> None:
    """Let all operations have different names, and `op` be one that links can name."""
    number = 0
    waiting: list[Any] = [document]
    while waiting:
        tree = waiting.pop()
        if isinstance(tree, list):
            waiting.extend(tree)
        elif isinstance(tree, dict):
            waiting.extend(tree.values())
            for method in METHODS:
                if isinstance(tree.get(method), dict) and "responses" in tree[method]:
                    number += 1
                    tree[method]["operationId"] = f"op{number}"
    document["paths"]["/v1/named/{place}"] = {
        "parameters": [
            {"name": "place", "in": "path", "required": True, "schema": {"type": "string"}}
        ],
        "get": {"operationId": "op", "responses": {"default": {"description": ""}}},
    }


def _value(draw: DrawFn, kind: grammar.Type, depth: int) -> Any:
    if isinstance(kind, grammar.Payload):
        return draw(PAYLOAD)
    if isinstance(kind, grammar.Text):
        return draw(TEXT)
    if isinstance(kind, grammar.Flag):
        return draw(strategies.booleans())
    if isinstance(kind, grammar.Choice):
        return draw(strategies.sampled_from(sorted(kind.words)))
    if isinstance(kind, grammar.Schema):
        return _schema(draw, depth + 1)
    if isinstance(kind, grammar.Object):
        return _object(draw, kind.name, depth + 1)
    if isinstance(kind, grammar.Referable):
        if depth >= DEEPEST or draw(strategies.integers(0, 2)) == 0:
            return _reference(draw, SECTION_OF[kind.name])
        return _object(draw, kind.name, depth + 1)
    if isinstance(kind, grammar.ListOf):
        return [_value(draw, kind.each, depth + 1) for _ in range(draw(strategies.integers(0, 2)))]
    assert isinstance(kind, grammar.MapOf)
    keys = draw(strategies.lists(KEYS, max_size=2, unique=True))
    return {key: _value(draw, kind.each, depth + 1) for key in keys}


def _reference(draw: DrawFn, section: str) -> dict[str, Any]:
    found = {"$ref": f"#/components/{section}/{draw(strategies.sampled_from(NAMES))}"}
    if draw(strategies.integers(0, 3)) == 0:
        found["summary" if section != "schemas" else "title"] = "beside"
    return found


def _schema(draw: DrawFn, depth: int) -> Any:
    choice = draw(strategies.integers(0, 9))
    if depth >= DEEPEST or choice < 3:
        return dict(draw(strategies.sampled_from(SIMPLE)))
    if choice < 5:
        return _reference(draw, "schemas") if depth else {"items": _reference(draw, "schemas")}
    if choice == 5:
        return {draw(strategies.sampled_from(["anyOf", "oneOf"])): [
            _schema(draw, depth + 1), {"type": "null"}]}  # fmt: skip
    if choice == 6:
        return {
            draw(strategies.sampled_from(["items", "not", "additionalProperties", "if"])): _schema(
                draw, depth + 1
            )
        }
    if choice == 7:
        one = "A"
        return {
            "oneOf": [{"$ref": f"#/components/schemas/{one}"}],
            "discriminator": {"propertyName": "p", "mapping": {"m": one}},
        }
    return {
        "type": "object",
        "properties": {draw(KEYS): _schema(draw, depth + 1)},
        "$defs": {draw(KEYS): _schema(draw, depth + 1)},
    }


def _object(draw: DrawFn, kind: str, depth: int) -> dict[str, Any]:
    shape = SHAPES[kind]
    found: dict[str, Any] = {}
    for name, wanted in shape.fields.items():
        if isinstance(wanted, grammar.Dropped) or name == "servers":
            continue
        likely = 1 if depth < 3 else 4
        if name in shape.required or (
            depth < DEEPEST and draw(strategies.integers(0, likely)) == 0
        ):
            found[name] = _value(draw, wanted, depth)
    if kind not in ("callback", "responses") and draw(strategies.integers(0, 3)) == 0:
        found["x-more"] = draw(PAYLOAD)
    _fix(draw, kind, found, depth)
    return found


def _fix(draw: DrawFn, kind: str, found: dict[str, Any], depth: int) -> None:
    """Let an object be as OpenAPI wants it beyond the table."""
    for name in ("url", "openIdConnectUrl", "authorizationUrl", "tokenUrl", "refreshUrl"):
        if name in found:
            found[name] = draw(URLS)
    if kind in ("parameter", "header"):
        found.pop("content", None)
        found.pop("style", None)
        found.pop("example", None)
        found["schema"] = _schema(draw, depth + 1)
    if kind == "parameter":
        found["name"] = f"n{draw(strategies.integers(0, 10**9))}"
        found["in"] = draw(strategies.sampled_from(["query", "header", "cookie"]))
        if found["in"] != "query":
            found.pop("allowEmptyValue", None)
            found.pop("allowReserved", None)
    elif kind == "media type":
        found.pop("example", None)
    elif kind == "example":
        found.pop("externalValue", None)
    elif kind == "response":
        found["description"] = draw(TEXT)
    elif kind in ("responses", "operation"):
        holder = found if kind == "responses" else found.setdefault("responses", {})
        holder["200"] = {"description": ""}
    elif kind == "callback":
        found["{$request.body#/url}"] = _object(draw, "path item", depth + 2)
    elif kind == "link":
        found.pop("operationRef", None)
        found["operationId"] = "op"
        found["parameters"] = {"a": "$request.path.b"}
    elif kind == "security scheme":
        for name in ("name", "in", "scheme", "bearerFormat", "flows", "openIdConnectUrl"):
            found.pop(name, None)
        scheme = draw(
            strategies.sampled_from(
                [
                    {"type": "apiKey", "name": "X-A", "in": "header"},
                    {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                    {"type": "mutualTLS"},
                    {"type": "openIdConnect", "openIdConnectUrl": "https://example.org"},
                    {
                        "type": "oauth2",
                        "flows": {
                            "password": {"tokenUrl": "https://example.org", "scopes": {"a": "b"}}
                        },
                    },
                ]
            )
        )
        found.update(scheme)
    elif kind == "path item" and "get" not in found:
        found["get"] = _object(draw, "operation", max(depth, 3))
    if kind == "operation":
        found.pop("security", None)
        if draw(strategies.booleans()):
            found["security"] = [{draw(strategies.sampled_from(NAMES)): []}, {}]
        found["parameters"] = [
            each for each in found.get("parameters", []) if "$ref" not in each
        ] + [{"$ref": "#/components/parameters/A"}]
    if kind == "path item":
        found["parameters"] = [each for each in found.get("parameters", []) if "$ref" not in each]

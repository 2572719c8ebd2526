"""Documents that somebody has got wrong: strategies for hypothesis."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import strategies

from tests.openapi import shapes
from toolforge_gateway.openapi import grammar, vocabulary
from toolforge_gateway.openapi.read import read

WORDS = sorted(
    {name for shape in grammar.SHAPES.values() for name in shape.fields}
    | set(vocabulary.ASSERTIONS)
    | set(vocabulary.ANNOTATIONS)
    | vocabulary.SCHEMA
    | vocabulary.SCHEMAS
    | vocabulary.NAMED_SCHEMAS
    | vocabulary.PAYLOADS
    | vocabulary.IDENTITY
    | {"$ref", "nullable", "discriminator", "x-more", "jsonSchemaDialect", "200", "default"}
    | {"webhooks", "swagger", "pathItems", "/v1/{a}", "{$url}", "}{", "a b", "get"}
)
"""Keys that mean something somewhere."""

TEXTS = strategies.sampled_from(
    [
        "",
        "#",
        "#/components/schemas/Error",
        "#/components/parameters/tool",
        "#/components/responses/NotFound",
        "#/paths/~1v1~1healthz",
        "#/paths/~1v1~1healthz/get/responses/200",
        "#/components/schemas/Nothing",
        "other.json#/x",
        "http://[",
        "#anchor",
        "Error",
        "string",
        "null",
        "object",
        "path",
        "query",
        "header",
        "3.0.3",
        "3.1.0",
        "/v1",
        "/{x}",
        "x-toolforge-tool",
        "(?<name>x)",
        "form",
    ]
) | strategies.text(max_size=8)

VALUES = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers(-3, 2**70)
    | strategies.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: (
        strategies.lists(inner, max_size=3)
        | strategies.dictionaries(strategies.sampled_from(WORDS) | TEXTS, inner, max_size=4)
    ),
    max_leaves=8,
)
"""What JSON can say, in words of OpenAPI."""

WHOLE = {
    "jobs": shapes.fastapi_jobs(),
    "builds": shapes.go_builds(),
    "components": read(shapes.COMPONENTS.encode()),
}


@strategies.composite
def mutated(draw: strategies.DrawFn) -> dict[str, Any]:
    """A good document in which a few places are something else, gone, or from elsewhere."""
    tree = deepcopy(draw(strategies.sampled_from(sorted(WHOLE.items())))[1])
    if draw(strategies.booleans()):
        tree["openapi"] = draw(strategies.sampled_from(["3.0.0", "3.1.0"]))
    for _ in range(draw(strategies.integers(1, 4))):
        holder = _holder(draw, tree)
        if isinstance(holder, dict):
            _change_object(draw, tree, holder)
        elif holder:
            holder[draw(strategies.integers(0, len(holder) - 1))] = draw(VALUES)
    return tree


def _holder(draw: strategies.DrawFn, tree: Any) -> Any:
    """An object or a list somewhere in the tree."""
    holder = tree
    for _ in range(draw(strategies.integers(0, 12))):
        inner = [
            value
            for value in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(value, dict | list) and value
        ]
        if not inner:
            break
        holder = draw(strategies.sampled_from(inner))
    return holder


def _change_object(draw: strategies.DrawFn, tree: Any, holder: dict[str, Any]) -> None:
    what = draw(strategies.sampled_from(["replace", "add", "remove", "copy", "rename"]))
    key = draw(strategies.sampled_from(sorted(holder))) if holder else "x"
    if what == "add" or not holder:
        holder[draw(strategies.sampled_from(WORDS) | TEXTS)] = draw(VALUES)
    elif what == "replace":
        holder[key] = draw(VALUES)
    elif what == "remove":
        del holder[key]
    elif what == "copy":
        holder[key] = deepcopy(_holder(draw, tree))
    else:
        holder[draw(strategies.sampled_from(WORDS) | TEXTS)] = holder.pop(key)

"""What OpenAPI asks of single objects beyond what the table of the grammar can say.

Each of these can be put right without a change of meaning, so it is, and is told as a warning.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Remark = tuple[str, str, str]
"""A member ("" for the object itself), what was wrong with it, and what to write."""

_STYLES = {
    "path": ("simple", "matrix", "label"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form",),
}
_WITH_SCHEMA = ("style", "explode", "allowReserved", "example", "examples")
_SEGMENTS = re.compile(r"(?:/(?:[^/{}?#\s\x00-\x1f]|\{[^/{}?#!:\s\x00-\x1f]+\})*)+")
_NAME = re.compile(r"\{([^}]*)\}")
_OF_TYPE = {
    "apiKey": ("name", "in"),
    "http": ("scheme", "bearerFormat"),
    "mutualTLS": (),
    "oauth2": ("flows",),
    "openIdConnect": ("openIdConnectUrl",),
}


def names_in(path: str) -> list[str] | None:
    """The names of a path's templates, in their order; None if it is no path."""
    return _NAME.findall(path) if _SEGMENTS.fullmatch(path) else None


def as_text(value: Any) -> str:
    """A value where only text may stand."""
    return json.dumps(value, ensure_ascii=False)


def lacks(scheme: dict[str, Any]) -> list[str]:
    """What a security scheme of its type must have, and this one has not."""
    wanted = _OF_TYPE.get(scheme.get("type") or "", ("type",))
    return [word for word in wanted if word != "bearerFormat" and word not in scheme]


def mend(kind: str, found: dict[str, Any]) -> Iterator[Remark]:
    """Put an object right.

    :param found: of that kind; changed.
    """
    mender = _MENDERS.get(kind)
    if mender is not None:
        yield from mender(found)


def _parameter(found: dict[str, Any]) -> Iterator[Remark]:
    where = found.get("in")
    yield from _schema_or_content(found)
    if where == "path" and found.get("required") is not True:
        found["required"] = True
        yield "", "is in the path and not required, and is made so", "write required: true"
    if found.get("style") is not None and found["style"] not in _STYLES.get(where or "", ()):
        del found["style"]
        yield "style", f"cannot be in a {where} parameter, and is left out", "remove it"
    for word in ("allowEmptyValue", "allowReserved"):
        if word in found and where != "query":
            del found[word]
            yield word, f"cannot be in a {where} parameter, and is left out", "remove it"


def _header(found: dict[str, Any]) -> Iterator[Remark]:
    yield from _schema_or_content(found)
    if found.get("style", "simple") != "simple":
        del found["style"]
        yield "style", "cannot be in a header, and is left out", "remove it"


def _schema_or_content(found: dict[str, Any]) -> Iterator[Remark]:
    if "content" in found and len(found["content"]) != 1:
        kept = dict(list(found["content"].items())[:1])
        if kept:
            found["content"] = kept
        else:
            del found["content"]
        yield "content", "has not exactly one media type; one is kept", "keep one"
    if "content" in found and "schema" in found:
        del found["content"]
        yield "content", "stands beside schema, and is left out", "keep one of them"
    if "content" not in found and "schema" not in found:
        found["schema"] = {}
        yield "", "has no schema, so any value is taken", "give it a schema"
    if "content" in found:
        for word in _WITH_SCHEMA:
            if found.pop(word, None) is not None:
                yield word, "goes with schema and not with content, and is left out", "remove it"
    yield from _examples(found)


def _examples(found: dict[str, Any]) -> Iterator[Remark]:
    if "example" in found and "examples" in found:
        del found["example"]
        yield "example", "stands beside examples, and is left out", "keep one of them"


def _example(found: dict[str, Any]) -> Iterator[Remark]:
    if "value" in found and "externalValue" in found:
        del found["externalValue"]
        yield "externalValue", "stands beside value, and is left out", "keep one of them"


def _response(found: dict[str, Any]) -> Iterator[Remark]:
    if "description" not in found:
        found["description"] = ""
        yield "", "has no description", "say in a few words what it is"


def _responses(found: dict[str, Any]) -> Iterator[Remark]:
    if not any(not key.startswith("x-") for key in found):
        found.clear()
        yield "", "has no response in it, and is left out", "describe one, such as default"


def _security_scheme(found: dict[str, Any]) -> Iterator[Remark]:
    kind = found.get("type")
    wanted = _OF_TYPE.get(kind or "", ())
    for word in ("name", "in", "scheme", "bearerFormat", "flows", "openIdConnectUrl"):
        if word in found and word not in wanted:
            del found[word]
            yield word, f"does not belong to the type {kind}, and is left out", "remove it"
    if "bearerFormat" in found and str(found.get("scheme")).lower() != "bearer":
        del found["bearerFormat"]
        yield "bearerFormat", "goes with scheme: bearer only, and is left out", "remove it"


_MENDERS: Mapping[str, Callable[[dict[str, Any]], Iterator[Remark]]] = {
    "example": _example,
    "header": _header,
    "media type": _examples,
    "parameter": _parameter,
    "response": _response,
    "responses": _responses,
    "security scheme": _security_scheme,
}

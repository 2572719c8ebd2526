"""The way through one schema, by the vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from toolforge_gateway.openapi import older, vocabulary
from toolforge_gateway.openapi.pointer import Place
from toolforge_gateway.openapi.record import Record, urljoin_safe

_DIALECTS = frozenset(
    [
        "https://json-schema.org/draft/2020-12/schema",
        "https://spec.openapis.org/oas/3.1/dialect/base",
        "https://spec.openapis.org/oas/3.1/dialect/2024-11-10",
    ]
)


def is_usual_dialect(uri: Any) -> bool:
    """Whether schemas of a dialect (`jsonSchemaDialect`) may stand in our document."""
    return isinstance(uri, str) and uri.rstrip("#") in _DIALECTS


@attrs.define(eq=False)
class SchemaWalk:
    """Reads Schema Objects.

    :param read_object: reads an object of another kind, by kind, value and place.
    """

    record: Record
    read_object: Callable[[str, Any, Place], dict[str, Any]]

    def schema(self, value: Any, at: Place) -> Any:
        """A Schema Object or, in 3.1, a boolean."""
        self.record.kinds[at] = "schema"
        if isinstance(value, bool):
            self.record.trees[at] = value
            return value
        if not isinstance(value, dict):
            self.record.error(at, "is no schema", "write an object")
            return True
        base = self.record.base
        if not self.record.old:
            self._name(value, at)
        found: dict[str, Any] = {}
        for key, item in value.items():
            self._keyword(found, key, item, at)
        outer = inner = found
        if self.record.old:
            converted = older.convert(found)
            outer, inner = converted.outer, converted.inner
            for key, steps in converted.shifts.items():
                self.record.shifts[(*at, key)] = steps
            for key, what, remedy in converted.remarks:
                self.record.warn((*at, key), what, remedy)
        elif value.get("nullable") is True:
            self.record.warn((*at, "nullable"), "means nothing in 3.1", 'write type: [..., "null"]')
        for key in ("$ref", "$dynamicRef"):
            if key in inner:
                self.record.note(inner, key, (*at, key), "schema", inner[key])
        if "discriminator" in inner:
            self._discriminator(inner, at)
        if "default" in outer:
            self.record.defaults.append((at, outer))
        self.record.base = base
        self.record.trees[at] = outer
        return outer

    def _name(self, schema: dict[str, Any], at: Place) -> None:
        """Note what a schema is called (JSON Schema Core section 8.2)."""
        own = schema.get("$id")
        if isinstance(own, str):
            self.record.base = urljoin_safe(self.record.base, own)
            self.record.resources.setdefault(self.record.base, at)
        for word in ("$anchor", "$dynamicAnchor"):
            anchor = schema.get(word)
            if isinstance(anchor, str):
                self.record.anchors.setdefault((self.record.base, anchor), at)
        anchor = schema.get("$dynamicAnchor")
        if isinstance(anchor, str):
            self.record.dynamic.setdefault(anchor, []).append(at)

    def _keyword(self, found: dict[str, Any], key: str, item: Any, at: Place) -> None:
        here = (*at, key)
        if key in vocabulary.SCHEMA:
            found[key] = self.schema(item, here)
        elif key in vocabulary.SCHEMAS:
            if not isinstance(item, list) or not item:
                self.record.error(here, "is no list of schemas", "write a list with schemas in it")
            else:
                found[key] = [self.schema(each, (*here, str(n))) for n, each in enumerate(item)]
        elif key in vocabulary.NAMED_SCHEMAS:
            found[key] = {
                name: self.schema(each, (*here, name))
                for name, each in self.record.members(item, here)
                if key != "patternProperties" or self._is_pattern(name, here)
            }
        elif key in vocabulary.IDENTITY:
            self._identity(found, key, item, here)
        elif key == "$ref":
            if isinstance(item, str):
                found[key] = item
            else:
                self.record.error(here, "is no text", "write #/components/schemas/NAME")
        elif key in vocabulary.ASSERTIONS:
            self._assertion(found, key, item, here)
        elif key in vocabulary.ANNOTATIONS:
            if isinstance(item, vocabulary.ANNOTATIONS[key]):
                found[key] = item
            else:
                self.record.warn(here, "is of the wrong type, and is left out", "see JSON Schema")
        elif key in ("discriminator", "xml"):
            if isinstance(item, dict):
                found[key] = self.read_object(key, item, here)
            else:
                self.record.error(here, "is no object", "write an object")
        elif key == "externalDocs":
            if isinstance(item, dict) and isinstance(item.get("url"), str):
                found[key] = self.read_object("external documentation", item, here)
            else:
                self.record.warn(here, "has no url, and is left out", "give it a url")
        elif key != "nullable" or self.record.old:
            found[key] = item

    def _assertion(self, found: dict[str, Any], key: str, item: Any, at: Place) -> None:
        good, wanted = vocabulary.ASSERTIONS[key]
        if good(item):
            found[key] = item
        elif (
            key == "required"
            and isinstance(item, list)
            and all(isinstance(name, str) for name in item)
        ):
            self.record.warn(at, "has a name twice", "keep one of them")
            found[key] = list(dict.fromkeys(item))
        elif key == "pattern" and isinstance(item, str):
            self._is_pattern(item, at)
            found["x-pattern"] = item
        elif (
            self.record.old
            and key in ("exclusiveMinimum", "exclusiveMaximum")
            and (isinstance(item, bool))
        ):
            found[key] = item
        else:
            self.record.error(at, f"is not {wanted}", f"write {wanted}")

    def _is_pattern(self, text: str, at: Place) -> bool:
        if vocabulary.is_pattern(text):
            return True
        self.record.warn(
            at,
            "is a regular expression that not every tool understands, and is left out",
            "write it without look-behind of open length, \\p{...} or (?<name>...)",
        )
        return False

    def _identity(self, found: dict[str, Any], key: str, item: Any, at: Place) -> None:
        """What a schema is called.

        `$id` and `$anchor` go: every reference becomes a pointer from the document's root, which
        an `$id` on the way would lead elsewhere.
        """
        if self.record.old:
            self.record.warn(at, "is not known in 3.0, and is left out", "publish OpenAPI 3.1")
        elif key == "$vocabulary":
            return
        elif not isinstance(item, str):
            self.record.error(at, "is of the wrong type", "see JSON Schema")
        elif key == "$schema":
            if item.rstrip("#") not in _DIALECTS:
                self.record.error(at, "names another dialect", "remove it")
        elif key == "$dynamicAnchor" and not vocabulary.ANCHOR.fullmatch(item):
            self.record.error(at, "is no name", "write a letter, then letters, digits, - . and _")
        elif key in ("$dynamicAnchor", "$dynamicRef"):
            found[key] = item

    def _discriminator(self, schema: dict[str, Any], at: Place) -> None:
        self.record.discriminators.append((at, schema))
        mapping = schema["discriminator"].get("mapping", {})
        for value, text in mapping.items():
            here = (*at, "discriminator", "mapping", value)
            self.record.note(mapping, value, here, "schema", text, bare=True)

    # References

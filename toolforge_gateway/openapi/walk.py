"""One way through a backend's document, by the grammar.

What comes out is a tree of OpenAPI 3.1 that has in it only what the grammar knows, and beside it
lists of all that a merge must change: references, operations, tags, security.  Nothing is renamed
here, and no reference is followed, except where a path item is one as a whole.
"""

from __future__ import annotations

from typing import Any

import attrs

from toolforge_gateway.openapi import grammar, objects
from toolforge_gateway.openapi.grammar import METHODS, SECTIONS, SHAPES
from toolforge_gateway.openapi.pointer import Nowhere, Place, look_up
from toolforge_gateway.openapi.record import HOME, Operation, Record, article, urlsplit_safe
from toolforge_gateway.openapi.schemas import SchemaWalk

_GONE = object()
"""Stands for a member that is left out."""

_OF_ROOT = frozenset(
    ["openapi", "info", "servers", "paths", "components", "security", "tags", "externalDocs"]
)


@attrs.define(eq=False)
class Walk:
    """The way through the whole document."""

    record: Record
    schemas: SchemaWalk = attrs.field(init=False)
    _path: str | None = None
    """That the walk is in, of `paths`."""
    _inlined: list[Place] = attrs.Factory(list)

    def __attrs_post_init__(self) -> None:
        self.schemas = SchemaWalk(self.record, self._object)

    # The document

    def paths(self) -> dict[str, dict[str, Any]]:
        """The path items of `paths`, by path, not yet with the prefix."""
        found = {}
        for path, item in self.record.members(self.record.document.get("paths", {}), ("paths",)):
            if path.startswith("x-"):
                continue
            at = ("paths", path)
            if not path.startswith("/"):
                self.record.error(at, "is a path that does not begin with /", "write it with one")
                continue
            if objects.names_in(path) is None:
                self.record.error(
                    at,
                    "is a path that cannot be understood",
                    "write {name} for a whole segment or a part of one, and no ?, # or blank",
                )
                continue
            self._path = path
            found[path] = self._object("path item", item, at)
            self._path = None
        return found

    def components(self) -> dict[str, dict[str, Any]]:
        """All sections, not yet renamed."""
        found: dict[str, dict[str, Any]] = {}
        for section, items in self.record.members(
            self.record.document.get("components", {}), ("components",)
        ):
            at = ("components", section)
            if section.startswith("x-"):
                continue
            if section not in SECTIONS or (self.record.old and section == "pathItems"):
                self.record.warn(at, "is no section of components, and is left out", "remove it")
                continue
            kind = SECTIONS[section]
            found[section] = {
                name: self._referable(kind, item, (*at, name))
                for name, item in self.record.members(items, at)
            }
        return found

    def webhooks(self) -> dict[str, Any]:
        """What the backend calls on its own account; 3.0 has none."""
        if self.record.old:
            return {}
        items = self.record.members(self.record.document.get("webhooks", {}), ("webhooks",))
        return {name: self._object("path item", item, ("webhooks", name)) for name, item in items}

    def tags(self) -> list[dict[str, Any]]:
        """The tags that are described."""
        tags = self.record.document.get("tags", [])
        if not isinstance(tags, list):
            self.record.warn(("tags",), "is no list, and is left out", "write a list")
            return []
        found = []
        for n, tag in enumerate(tags):
            if not isinstance(tag, dict) or not isinstance(tag.get("name"), str):
                self.record.warn(("tags", str(n)), "has no name, and is left out", "give it a name")
            else:
                found.append(self._object("tag", tag, ("tags", str(n))))
        return found

    def docs(self) -> dict[str, Any] | None:
        """`externalDocs` of the document as a whole."""
        if "externalDocs" not in self.record.document:
            return None
        docs = self.record.document["externalDocs"]
        if not isinstance(docs, dict) or not isinstance(docs.get("url"), str):
            self.record.warn(("externalDocs",), "has no url, and is left out", "give it a url")
            return None
        return self._object("external documentation", docs, ("externalDocs",))

    def security(self) -> list[dict[str, list[str]]] | None:
        """What operations ask for that say nothing themselves."""
        if "security" not in self.record.document:
            return None
        return self.requirements(self.record.document["security"], ("security",))

    def requirements(self, value: Any, at: Place) -> list[dict[str, list[str]]]:
        """A list of Security Requirement Objects."""
        result = self._value(SHAPES["operation"].fields["security"], value, at)
        return [] if result is _GONE else result

    def rest(self) -> None:
        """Tell of what is in the document beside all that."""
        webhooks = () if self.record.old else ("webhooks", "jsonSchemaDialect")
        for key in self.record.document:
            if key not in _OF_ROOT and key not in webhooks and not key.startswith("x-"):
                self.record.warn((key,), "is not known to OpenAPI, and is left out", "remove it")

    # Objects

    def _value(self, kind: grammar.Type, value: Any, at: Place) -> Any:
        """The value as its type wants it, or `_GONE`."""
        if isinstance(kind, grammar.Payload):
            return value
        if isinstance(kind, grammar.Dropped):
            return _GONE
        if isinstance(kind, grammar.Text | grammar.Flag | grammar.Choice):
            return self._scalar(kind, value, at)
        if isinstance(kind, grammar.Schema):
            return self.schemas.schema(value, at)
        if isinstance(kind, grammar.Object):
            return self._object(kind.name, value, at)
        if isinstance(kind, grammar.Referable):
            return self._referable(kind.name, value, at)
        if isinstance(kind, grammar.ListOf):
            if not isinstance(value, list):
                self.record.error(at, "is no list", "write a list")
                return _GONE
            items = [self._value(kind.each, item, (*at, str(n))) for n, item in enumerate(value)]
            return [item for item in items if item is not _GONE]
        found = {}
        for key, item in self.record.members(value, at):
            result = self._value(kind.each, item, (*at, key))
            if result is not _GONE:
                found[key] = result
        return found

    def _scalar(
        self, kind: grammar.Text | grammar.Flag | grammar.Choice, value: Any, at: Place
    ) -> Any:
        if isinstance(kind, grammar.Text):
            good, wanted = isinstance(value, str), "text"
        elif isinstance(kind, grammar.Flag):
            good, wanted = isinstance(value, bool), "true or false"
        else:
            good = isinstance(value, str) and value in kind.words
            wanted = f"one of {', '.join(sorted(kind.words))}"
        if good:
            return value
        self.record.warn(at, f"is not {wanted}, and is left out", f"write {wanted}")
        return _GONE

    def _referable(self, kind: str, value: Any, at: Place) -> Any:
        if kind == "schema":
            return self.schemas.schema(value, at)
        if kind == "path item" or not isinstance(value, dict) or "$ref" not in value:
            return self._object(kind, value, at)
        found: dict[str, Any] = {}
        for key, item in value.items():
            if key == "$ref":
                self.record.note(found, "$ref", (*at, "$ref"), kind, item)
            elif (
                key in ("summary", "description") and not self.record.old and isinstance(item, str)
            ):
                found[key] = item
            elif not key.startswith("x-"):
                self.record.warn(
                    (*at, key), "stands beside $ref, and is left out", "put it where $ref leads"
                )
        self.record.kinds[at] = kind
        self.record.trees[at] = found
        return found

    def _object(self, kind: str, value: Any, at: Place) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.record.error(at, f"is no {kind}", "write an object")
            return {}
        if kind == "path item" and "$ref" in value:
            return self._inline(value, at)
        if kind == "callback":  # whatever is in it, the backend calls
            path, self._path = self._path, None
        shape = SHAPES[kind]
        self.record.kinds[at] = kind
        found: dict[str, Any] = {}
        self.record.trees[at] = found
        for key, item in value.items():
            here = (*at, key)
            if key.startswith("x-"):
                # The published JSON Schema of OpenAPI 3.1 takes it for a path item; and what
                # stands among responses is followed as one.
                followed = isinstance(item, dict) and "$ref" in item
                if kind == "callback" or (kind == "responses" and followed):
                    self.record.warn(here, "is left out: validators take it for more", "remove it")
                else:
                    found[key] = item
                continue
            wanted = shape.fields.get(key)
            if wanted is None and shape.others is not None and shape.others[0].fullmatch(key):
                wanted = shape.others[1]
            if wanted is None:
                self.record.warn(
                    here, f"is not known in {article(kind)}, and is left out", "remove it"
                )
                continue
            result = self._value(wanted, item, here)
            if result is not _GONE:
                found[key] = result
        for key in sorted(shape.required - found.keys()):
            self.record.error(
                at, f"has no usable {key}, which {article(kind)} must have", f"give it {key}"
            )
        if kind == "callback":
            self._path = path
        if kind == "link":
            self._link_object(found, at)
        elif kind == "path item":
            for method in METHODS:
                if method in found:
                    operation = Operation((*at, method), found[method], found, self._path)
                    self.record.operations.append(operation)
        else:
            for key, what, remedy in objects.mend(kind, found):
                self.record.warn((*at, key) if key else at, what, remedy)
        if kind == "operation" and found.get("responses") == {}:
            del found["responses"]
        return found

    def _inline(self, value: dict[str, Any], at: Place) -> dict[str, Any]:
        """A path item that is somewhere else, with what is written here beside it."""
        text = value["$ref"]
        target = self.record.place(text, HOME) if isinstance(text, str) else None
        if target is None or target in self._inlined:
            why = "goes round in a circle" if target is not None else "leads out of the document"
            self.record.error((*at, "$ref"), why, "write the path item here")
            return {}
        try:
            item = look_up(self.record.document, target)
        except Nowhere:
            self.record.error(
                (*at, "$ref"), f"leads to nothing: {text}", "write the path item here"
            )
            return {}
        if not isinstance(item, dict):
            self.record.error(
                (*at, "$ref"), f"leads to no path item: {text}", "write the path item here"
            )
            return {}
        beside = {key: each for key, each in value.items() if key != "$ref"}
        self._inlined.append(target)
        found = self._object("path item", {**item, **beside}, at)
        self._inlined.pop()
        return found

    def _link_object(self, found: dict[str, Any], at: Place) -> None:
        """OpenAPI 3.1.1 section 4.8.20: one of two ways to name an operation."""
        if "operationRef" in found and "operationId" in found:
            self.record.warn((*at, "operationId"), "stands beside operationRef", "keep one of them")
            del found["operationId"]
        if "operationRef" in found:
            text = found["operationRef"]
            if urlsplit_safe(text):
                self.record.warn(
                    (*at, "operationRef"),
                    "leads out of the document, and is not followed",
                    "make sure that clients of the gateway can use it",
                )
            else:
                self.record.note(found, "operationRef", (*at, "operationRef"), "operation", text)
        elif "operationId" in found:
            self.record.note(
                found, "operationId", (*at, "operationId"), "operationId", found["operationId"]
            )
        else:
            self.record.error(at, "names no operation", "give operationId")
        parameters = found.get("parameters", {})
        for key, value in parameters.items():
            if not isinstance(value, str):
                self.record.warn(
                    (*at, "parameters", key), "is no text, and is made one", "put quotes"
                )
                parameters[key] = objects.as_text(value)

"""One way through a backend's document, by the grammar.

What comes out is a tree of OpenAPI 3.1 that has in it only what the grammar knows, and beside it
lists of all that a merge must change: references, operations, tags, security.  Nothing is renamed
here, and no reference is followed, except where a path item is one as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal
from urllib.parse import urldefrag, urljoin, urlsplit

import attrs

from toolforge_gateway.openapi import grammar, objects, older, vocabulary
from toolforge_gateway.openapi.grammar import METHODS, SECTIONS, SHAPES
from toolforge_gateway.openapi.part import Finding
from toolforge_gateway.openapi.pointer import Nowhere, Place, look_up, place_of, pointer

HOME = "http://document.invalid/openapi"
"""What a document is called whose own address does not matter."""

LONGEST = 300
"""Characters of what is said of one thing; the rest of an author's text is cut off."""

_GONE = object()
"""Stands for a member that is left out."""

_OF_ROOT = frozenset(
    ["openapi", "info", "servers", "paths", "components", "security", "tags", "externalDocs"]
)


@attrs.define(eq=False)
class Link:
    """A place that names another one."""

    holder: dict[str, Any]
    """In the new tree; what `key` stands for there is written anew once all places are known."""
    key: str
    at: Place
    """In the source."""
    kind: str
    """What must be at the other end."""
    text: str
    base: str
    """The URI of the schema resource it is in."""
    bare: bool = False
    """Whether a bare word is the name of a component, as in a discriminator."""
    target: Place | None = None
    """In the source, once it is known."""


@attrs.define(eq=False)
class Operation:
    """An operation, wherever it is."""

    at: Place
    """In the source."""
    tree: dict[str, Any]
    item: dict[str, Any]
    """The path item it is in."""
    path: str | None
    """None: of a callback, a webhook or a component, which the backend calls."""

    @property
    def method(self) -> str:
        """In lower case."""
        return self.at[-1]


@attrs.define(eq=False)
class Walk:
    """The way, and what was found on it.

    :param document: as `plain` gives it; parts of it become parts of the result.
    :param old: whether it is OpenAPI 3.0.
    """

    api: str
    document: dict[str, Any]
    old: bool
    findings: list[Finding] = attrs.Factory(list)
    kinds: dict[Place, str] = attrs.Factory(dict)
    """What stands at a place of the source."""
    trees: dict[Place, Any] = attrs.Factory(dict)
    """What has come of it: of schemas, and of all that can be referred to."""
    links: list[Link] = attrs.Factory(list)
    shifts: dict[Place, Place] = attrs.Factory(dict)
    """Places whose last step is another in the result: what stands for it there."""
    operations: list[Operation] = attrs.Factory(list)
    discriminators: list[tuple[Place, dict[str, Any]]] = attrs.Factory(list)
    """The schemas that have one."""
    defaults: list[tuple[Place, dict[str, Any]]] = attrs.Factory(list)
    """The schemas that have one."""
    resources: dict[str, Place] = attrs.Factory(lambda: {HOME: ()})
    """The URIs of schemas that have one."""
    anchors: dict[tuple[str, str], Place] = attrs.Factory(dict)
    """By URI of the resource, and name."""
    dynamic: dict[str, list[Place]] = attrs.Factory(dict)
    """$dynamicAnchor by name."""
    _base: str = HOME
    _path: str | None = None
    _inlined: list[Place] = attrs.Factory(list)

    # Findings

    def error(self, at: Iterable[str], what: str, remedy: str) -> None:
        """Keep the API out."""
        self._find("error", at, what, remedy)

    def warn(self, at: Iterable[str], what: str, remedy: str) -> None:
        """Say what was changed."""
        self._find("warning", at, what, remedy)

    def _find(
        self, level: Literal["error", "warning"], at: Iterable[str], what: str, remedy: str
    ) -> None:
        words = what if len(what) <= LONGEST else what[:LONGEST] + "..."
        words = words if words.isprintable() else ascii(words)[1:-1]
        finding = Finding(self.api, pointer(at), level, words, remedy)
        if finding not in self.findings[-100:]:
            self.findings.append(finding)

    # The document

    def paths(self) -> dict[str, dict[str, Any]]:
        """The path items of `paths`, by path, not yet with the prefix."""
        found = {}
        for path, item in self._members(self.document.get("paths", {}), ("paths",)):
            if path.startswith("x-"):
                continue
            at = ("paths", path)
            if not path.startswith("/"):
                self.error(at, "is a path that does not begin with /", "write it with one")
                continue
            if objects.names_in(path) is None:
                self.error(
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
        for section, items in self._members(self.document.get("components", {}), ("components",)):
            at = ("components", section)
            if section.startswith("x-"):
                continue
            if section not in SECTIONS or (self.old and section == "pathItems"):
                self.warn(at, "is no section of components, and is left out", "remove it")
                continue
            kind = SECTIONS[section]
            found[section] = {
                name: self._referable(kind, item, (*at, name))
                for name, item in self._members(items, at)
            }
        return found

    def webhooks(self) -> dict[str, Any]:
        """What the backend calls on its own account; 3.0 has none."""
        if self.old:
            return {}
        items = self._members(self.document.get("webhooks", {}), ("webhooks",))
        return {name: self._object("path item", item, ("webhooks", name)) for name, item in items}

    def tags(self) -> list[dict[str, Any]]:
        """The tags that are described."""
        tags = self.document.get("tags", [])
        if not isinstance(tags, list):
            self.warn(("tags",), "is no list, and is left out", "write a list")
            return []
        found = []
        for n, tag in enumerate(tags):
            if not isinstance(tag, dict) or not isinstance(tag.get("name"), str):
                self.warn(("tags", str(n)), "has no name, and is left out", "give it a name")
            else:
                found.append(self._object("tag", tag, ("tags", str(n))))
        return found

    def docs(self) -> dict[str, Any] | None:
        """`externalDocs` of the document as a whole."""
        if "externalDocs" not in self.document:
            return None
        docs = self.document["externalDocs"]
        if not isinstance(docs, dict) or not isinstance(docs.get("url"), str):
            self.warn(("externalDocs",), "has no url, and is left out", "give it a url")
            return None
        return self._object("external documentation", docs, ("externalDocs",))

    def security(self) -> list[dict[str, list[str]]] | None:
        """What operations ask for that say nothing themselves."""
        if "security" not in self.document:
            return None
        return self.requirements(self.document["security"], ("security",))

    def requirements(self, value: Any, at: Place) -> list[dict[str, list[str]]]:
        """A list of Security Requirement Objects."""
        result = self._value(SHAPES["operation"].fields["security"], value, at)
        return [] if result is _GONE else result

    def rest(self) -> None:
        """Tell of what is in the document beside all that."""
        webhooks = () if self.old else ("webhooks", "jsonSchemaDialect")
        for key in self.document:
            if key not in _OF_ROOT and key not in webhooks and not key.startswith("x-"):
                self.warn((key,), "is not known to OpenAPI, and is left out", "remove it")

    def _members(self, value: Any, at: Place) -> list[tuple[str, Any]]:
        if isinstance(value, dict):
            return list(value.items())
        self.error(at, "is no object", "write an object")
        return []

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
            return self.schema(value, at)
        if isinstance(kind, grammar.Object):
            return self._object(kind.name, value, at)
        if isinstance(kind, grammar.Referable):
            return self._referable(kind.name, value, at)
        if isinstance(kind, grammar.ListOf):
            if not isinstance(value, list):
                self.error(at, "is no list", "write a list")
                return _GONE
            items = [self._value(kind.each, item, (*at, str(n))) for n, item in enumerate(value)]
            return [item for item in items if item is not _GONE]
        found = {}
        for key, item in self._members(value, at):
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
        self.warn(at, f"is not {wanted}, and is left out", f"write {wanted}")
        return _GONE

    def _referable(self, kind: str, value: Any, at: Place) -> Any:
        if kind == "schema":
            return self.schema(value, at)
        if kind == "path item" or not isinstance(value, dict) or "$ref" not in value:
            return self._object(kind, value, at)
        found: dict[str, Any] = {}
        for key, item in value.items():
            if key == "$ref":
                self._link(found, "$ref", (*at, "$ref"), kind, item)
            elif key in ("summary", "description") and not self.old and isinstance(item, str):
                found[key] = item
            elif not key.startswith("x-"):
                self.warn(
                    (*at, key), "stands beside $ref, and is left out", "put it where $ref leads"
                )
        self.kinds[at] = kind
        self.trees[at] = found
        return found

    def _object(self, kind: str, value: Any, at: Place) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.error(at, f"is no {kind}", "write an object")
            return {}
        if kind == "path item" and "$ref" in value:
            return self._inline(value, at)
        if kind == "callback":  # whatever is in it, the backend calls
            path, self._path = self._path, None
        shape = SHAPES[kind]
        self.kinds[at] = kind
        found: dict[str, Any] = {}
        self.trees[at] = found
        for key, item in value.items():
            here = (*at, key)
            if key.startswith("x-"):
                # The published JSON Schema of OpenAPI 3.1 takes it for a path item; and what
                # stands among responses is followed as one.
                followed = isinstance(item, dict) and "$ref" in item
                if kind == "callback" or (kind == "responses" and followed):
                    self.warn(here, "is left out: validators take it for more", "remove it")
                else:
                    found[key] = item
                continue
            wanted = shape.fields.get(key)
            if wanted is None and shape.others is not None and shape.others[0].fullmatch(key):
                wanted = shape.others[1]
            if wanted is None:
                self.warn(here, f"is not known in {article(kind)}, and is left out", "remove it")
                continue
            result = self._value(wanted, item, here)
            if result is not _GONE:
                found[key] = result
        for key in sorted(shape.required - found.keys()):
            self.error(
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
                    self.operations.append(operation)
        else:
            for key, what, remedy in objects.mend(kind, found):
                self.warn((*at, key) if key else at, what, remedy)
        if kind == "operation" and found.get("responses") == {}:
            del found["responses"]
        return found

    def _inline(self, value: dict[str, Any], at: Place) -> dict[str, Any]:
        """A path item that is somewhere else, with what is written here beside it."""
        text = value["$ref"]
        target = self._local(text, HOME) if isinstance(text, str) else None
        if target is None or target in self._inlined:
            why = "goes round in a circle" if target is not None else "leads out of the document"
            self.error((*at, "$ref"), why, "write the path item here")
            return {}
        try:
            item = look_up(self.document, target)
        except Nowhere:
            self.error((*at, "$ref"), f"leads to nothing: {text}", "write the path item here")
            return {}
        if not isinstance(item, dict):
            self.error((*at, "$ref"), f"leads to no path item: {text}", "write the path item here")
            return {}
        beside = {key: each for key, each in value.items() if key != "$ref"}
        self._inlined.append(target)
        found = self._object("path item", {**item, **beside}, at)
        self._inlined.pop()
        return found

    def _link_object(self, found: dict[str, Any], at: Place) -> None:
        """OpenAPI 3.1.1 section 4.8.20: one of two ways to name an operation."""
        if "operationRef" in found and "operationId" in found:
            self.warn((*at, "operationId"), "stands beside operationRef", "keep one of them")
            del found["operationId"]
        if "operationRef" in found:
            text = found["operationRef"]
            if urlsplit_safe(text):
                self.warn(
                    (*at, "operationRef"),
                    "leads out of the document, and is not followed",
                    "make sure that clients of the gateway can use it",
                )
            else:
                self._link(found, "operationRef", (*at, "operationRef"), "operation", text)
        elif "operationId" in found:
            self._link(
                found, "operationId", (*at, "operationId"), "operationId", found["operationId"]
            )
        else:
            self.error(at, "names no operation", "give operationId")
        parameters = found.get("parameters", {})
        for key, value in parameters.items():
            if not isinstance(value, str):
                self.warn((*at, "parameters", key), "is no text, and is made one", "put quotes")
                parameters[key] = objects.as_text(value)

    # Schemas

    def schema(self, value: Any, at: Place) -> Any:
        """A Schema Object or, in 3.1, a boolean."""
        self.kinds[at] = "schema"
        if isinstance(value, bool):
            self.trees[at] = value
            return value
        if not isinstance(value, dict):
            self.error(at, "is no schema", "write an object")
            return True
        base = self._base
        if not self.old:
            self._name(value, at)
        found: dict[str, Any] = {}
        for key, item in value.items():
            self._keyword(found, key, item, at)
        outer = inner = found
        if self.old:
            converted = older.convert(found)
            outer, inner = converted.outer, converted.inner
            for key, steps in converted.shifts.items():
                self.shifts[(*at, key)] = steps
            for key, what, remedy in converted.remarks:
                self.warn((*at, key), what, remedy)
        elif value.get("nullable") is True:
            self.warn((*at, "nullable"), "means nothing in 3.1", 'write type: [..., "null"]')
        for key in ("$ref", "$dynamicRef"):
            if key in inner:
                self._link(inner, key, (*at, key), "schema", inner[key])
        if "discriminator" in inner:
            self._discriminator(inner, at)
        if "default" in outer:
            self.defaults.append((at, outer))
        self._base = base
        self.trees[at] = outer
        return outer

    def _name(self, schema: dict[str, Any], at: Place) -> None:
        """Note what a schema is called (JSON Schema Core section 8.2)."""
        own = schema.get("$id")
        if isinstance(own, str):
            self._base = urljoin_safe(self._base, own)
            self.resources.setdefault(self._base, at)
        for word in ("$anchor", "$dynamicAnchor"):
            anchor = schema.get(word)
            if isinstance(anchor, str):
                self.anchors.setdefault((self._base, anchor), at)
        anchor = schema.get("$dynamicAnchor")
        if isinstance(anchor, str):
            self.dynamic.setdefault(anchor, []).append(at)

    def _keyword(self, found: dict[str, Any], key: str, item: Any, at: Place) -> None:
        here = (*at, key)
        if key in vocabulary.SCHEMA:
            found[key] = self.schema(item, here)
        elif key in vocabulary.SCHEMAS:
            if not isinstance(item, list) or not item:
                self.error(here, "is no list of schemas", "write a list with schemas in it")
            else:
                found[key] = [self.schema(each, (*here, str(n))) for n, each in enumerate(item)]
        elif key in vocabulary.NAMED_SCHEMAS:
            found[key] = {
                name: self.schema(each, (*here, name))
                for name, each in self._members(item, here)
                if key != "patternProperties" or self._is_pattern(name, here)
            }
        elif key in vocabulary.IDENTITY:
            self._identity(found, key, item, here)
        elif key == "$ref":
            if isinstance(item, str):
                found[key] = item
            else:
                self.error(here, "is no text", "write #/components/schemas/NAME")
        elif key in vocabulary.ASSERTIONS:
            self._assertion(found, key, item, here)
        elif key in vocabulary.ANNOTATIONS:
            if isinstance(item, vocabulary.ANNOTATIONS[key]):
                found[key] = item
            else:
                self.warn(here, "is of the wrong type, and is left out", "see JSON Schema")
        elif key in ("discriminator", "xml"):
            if isinstance(item, dict):
                found[key] = self._object(key, item, here)
            else:
                self.error(here, "is no object", "write an object")
        elif key == "externalDocs":
            if isinstance(item, dict) and isinstance(item.get("url"), str):
                found[key] = self._object("external documentation", item, here)
            else:
                self.warn(here, "has no url, and is left out", "give it a url")
        elif key != "nullable" or self.old:
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
            self.warn(at, "has a name twice", "keep one of them")
            found[key] = list(dict.fromkeys(item))
        elif key == "pattern" and isinstance(item, str):
            self._is_pattern(item, at)
            found["x-pattern"] = item
        elif (
            self.old
            and key in ("exclusiveMinimum", "exclusiveMaximum")
            and (isinstance(item, bool))
        ):
            found[key] = item
        else:
            self.error(at, f"is not {wanted}", f"write {wanted}")

    def _is_pattern(self, text: str, at: Place) -> bool:
        if vocabulary.is_pattern(text):
            return True
        self.warn(
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
        if self.old:
            self.warn(at, "is not known in 3.0, and is left out", "publish OpenAPI 3.1")
        elif key == "$vocabulary":
            return
        elif not isinstance(item, str):
            self.error(at, "is of the wrong type", "see JSON Schema")
        elif key == "$schema":
            if item.rstrip("#") not in _DIALECTS:
                self.error(at, "names another dialect", "remove it")
        elif key == "$dynamicAnchor" and not vocabulary.ANCHOR.fullmatch(item):
            self.error(at, "is no name", "write a letter, then letters, digits, - . and _")
        elif key in ("$dynamicAnchor", "$dynamicRef"):
            found[key] = item

    def _discriminator(self, schema: dict[str, Any], at: Place) -> None:
        self.discriminators.append((at, schema))
        mapping = schema["discriminator"].get("mapping", {})
        for value, text in mapping.items():
            here = (*at, "discriminator", "mapping", value)
            self._link(mapping, value, here, "schema", text, bare=True)

    # References

    def link(self, holder: dict[str, Any], key: str, at: Place, kind: str, text: str) -> Link:
        """Note that something in the new tree names a place."""
        link = Link(holder, key, at, kind, text, self._base)
        holder[key] = text
        self.links.append(link)
        return link

    def _link(
        self, holder: dict[str, Any], key: str, at: Place, kind: str, text: Any, bare: bool = False
    ) -> None:
        if not isinstance(text, str):
            self.error(at, "is no text", "write #/components/...")
            return
        self.link(holder, key, at, kind, text).bare = bare

    def _local(self, text: str, base: str) -> Place | None:
        """The place a reference names in this document; None if it is in another one."""
        if text.startswith("#"):  # nearly all do
            uri, fragment = base, text[1:]
        else:
            uri, fragment = urldefrag(urljoin_safe(base, text))
        root = self.resources.get(uri)
        if root is None:
            return None
        place = place_of(fragment)
        if place is None:
            return self.anchors.get((uri, fragment))
        return root + place

    def local(self, link: Link) -> Place | None:
        """The place a link leads to, whether there is anything or not; None: elsewhere."""
        return self._local(link.text, link.base)


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


def article(kind: str) -> str:
    """`an operation`, `a response`."""
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def urljoin_safe(base: str, text: str) -> str:
    """`urljoin`, and what is no URL leads nowhere."""
    try:
        return urljoin(base, text)
    except ValueError:
        return "invalid:"


def urlsplit_safe(text: str) -> str:
    """The scheme or host of a URL; "" when it has none."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return "invalid"
    return parts.scheme or parts.netloc

"""One backend's document as its share of the merged one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs

from toolforge_gateway.openapi import addresses, objects
from toolforge_gateway.openapi.defaults import fits
from toolforge_gateway.openapi.names import PartNames, capitalised
from toolforge_gateway.openapi.part import Access, Part, Settings
from toolforge_gateway.openapi.pointer import Place, reference
from toolforge_gateway.openapi.resolve import Resolved, resolve
from toolforge_gateway.openapi.security import Guard, header_passes
from toolforge_gateway.openapi.walk import Operation, Walk

_TEMPLATE = re.compile(r"\{[^}]*\}")
_OF_ITEM = ("summary", "description")


@attrs.define
class Share:
    """What one API adds to the merged document."""

    paths: dict[str, dict[str, Any]] = attrs.Factory(dict)
    components: dict[str, dict[str, Any]] = attrs.Factory(dict)
    webhooks: dict[str, Any] = attrs.Factory(dict)
    tags: list[dict[str, Any]] = attrs.Factory(list)
    about: dict[str, Any] = attrs.Factory(dict)
    """What the document says of the API as a whole."""


@attrs.define(eq=False)
class _Placed:
    """Where an operation of `paths` goes."""

    operation: Operation
    access: Access
    path: str
    """The external path, with the names of templates that are used for it."""
    renamed: dict[str, str]
    """The document's own names of templates to those, where they differ."""


@attrs.define(eq=False)
class Adapter:
    """Makes the share of one part.

    :param others: prefixes of the other parts.
    """

    part: Part
    settings: Settings
    walk: Walk
    names: PartNames
    others: frozenset[str]
    _items: dict[str, dict[str, Any]] = attrs.field(init=False)
    _components: dict[str, dict[str, Any]] = attrs.field(init=False)
    _webhooks: dict[str, Any] = attrs.field(init=False)
    _general: Any = attrs.field(init=False)
    _resolved: Resolved = attrs.field(init=False)
    _places: dict[Place, Place] = attrs.Factory(dict)
    """Places of the source that are somewhere else in the result."""
    _shown_tags: dict[str, None] = attrs.Factory(dict)

    def share(self) -> Share:
        """The share; worth nothing if the walk has errors then."""
        walk = self.walk
        walk.rest()
        self._items = walk.paths()
        self._components = walk.components()
        self._webhooks = walk.webhooks()
        self._general = walk.security()
        tags, docs = walk.tags(), walk.docs()
        self._resolved = resolve(walk)
        for operation in walk.operations:
            self._check_parameters(operation)
        if any(finding.level == "error" for finding in walk.findings):
            return Share()
        self._schemas()
        share = Share()
        placed = self._place()
        self._secure(placed)
        self._identify(placed)
        share.paths = self._paths(placed)
        share.components = self._rename()
        for name, item in self._webhooks.items():
            new = self.names.webhook(name, ("webhooks", name))
            self._places["webhooks", name] = ("webhooks", new)
            share.webhooks[new] = item
        self._fill_links()
        for each in placed:
            if each.renamed:
                self._rename_parameters(each, share)
        share.tags = self._tags(tags, docs)
        share.about = self._about(docs)
        return share

    # Parameters

    def _check_parameters(self, operation: Operation) -> None:
        """What OpenAPI 3.1.1 section 4.8.12 asks of a list, and of path templates."""
        in_path = set()
        for holder, at in (
            (operation.item, operation.at[:-1]),
            (operation.tree, operation.at),
        ):
            seen = set()
            for n, each in enumerate(holder.get("parameters", [])):
                found = self._resolved.follow(each)
                if not isinstance(found, dict):
                    continue
                key = (found.get("in"), found.get("name"))
                here = (*at, "parameters", str(n))
                if key in seen:
                    self.walk.error(here, f"is a second {key[0]} parameter {key[1]}", "keep one")
                seen.add(key)
                if key[0] == "path":
                    in_path.add(key[1])
        if operation.path is None:
            return
        names = objects.names_in(operation.path) or []
        for name in sorted(set(names) - in_path):
            self.walk.error(
                operation.at, f"has no parameter for {{{name}}} of its path", "describe it"
            )
        for name in sorted(str(name) for name in in_path - set(names)):
            self.walk.error(
                operation.at,
                f"has a path parameter {name} that is not in its path",
                "put it there, or remove it",
            )
        if len(set(names)) < len(names):
            self.walk.error(operation.at[:2], "has a name twice in its path", "rename one")

    # Schemas

    def _schemas(self) -> None:
        follow = self._resolved.follow
        for at, schema in self.walk.defaults:
            default = schema["default"]
            verdict = fits(default, schema, follow)
            if isinstance(default, dict) and isinstance(default.get("$ref"), str):
                verdict = None  # validators follow it as if it were a reference
            if verdict is not True:
                del schema["default"]
                why = "does not fit its schema" if verdict is False else "cannot be checked"
                self.walk.warn((*at, "default"), f"{why}, and is left out", "see the schema")
        for tree in self.walk.trees.values():
            if isinstance(tree, dict) and "allOf" in tree and "required" in tree:
                self._require_inside(tree)
        for at, schema in self.walk.discriminators:
            self._spell_out(at, schema)

    def _require_inside(self, schema: dict[str, Any]) -> None:
        """Ask for properties that are described nowhere near in a schema of its own.

        It means the same, and validators take the other for a slip of the pen.
        """
        if not isinstance(schema["required"], list):
            return
        known = self._described(schema)
        strange = [name for name in schema["required"] if name not in known]
        if strange:
            schema["allOf"] = [*schema["allOf"], {"required": strange}]
            schema["required"] = [name for name in schema["required"] if name in known]
            if not schema["required"]:
                del schema["required"]

    def _described(self, schema: dict[str, Any]) -> set[str]:
        found: set[str] = set(schema.get("properties", ()))
        waiting = list(schema["allOf"])
        seen: set[int] = set()
        while waiting:
            tree = self._resolved.follow(waiting.pop())
            if not isinstance(tree, dict) or id(tree) in seen:
                continue
            seen.add(id(tree))
            found.update(tree.get("properties", ()))
            for word in ("allOf", "anyOf", "oneOf"):
                waiting.extend(tree.get(word, ()))
            waiting.extend(tree[word] for word in ("items", "not") if word in tree)
        return found

    def _spell_out(self, at: Place, schema: dict[str, Any]) -> None:
        """Write into a discriminator what follows from names of components, as these change."""
        targets = {
            link.target: link.holder
            for link in self.walk.links
            if link.bare and link.holder is schema["discriminator"].get("mapping")
        }
        own: list[Any] = [*schema.get("oneOf", ()), *schema.get("anyOf", ())]
        named: list[Place] = []
        for each in own:
            target = self._target_of(each)
            if target is not None:
                named.append(target)
        if not own:
            named += self._heirs(at)
        for target in named:
            if len(target) == 3 and target[1] == "schemas" and target not in targets:
                mapping = schema["discriminator"].setdefault("mapping", {})
                if target[2] not in mapping:
                    link = self.walk.link(mapping, target[2], target, "schema", target[2])
                    link.target = target

    def _heirs(self, base: Place) -> Iterator[Place]:
        """Component schemas that are the base and something more."""
        for name, schema in self._components.get("schemas", {}).items():
            if isinstance(schema, dict):
                for each in schema.get("allOf", ()):
                    if self._target_of(each) == base:
                        yield ("components", "schemas", name)

    def _target_of(self, tree: Any) -> Place | None:
        link = self._resolved.link_of(tree)
        return None if link is None else link.target

    # Paths

    def _place(self) -> list[_Placed]:
        """Where the operations of `paths` go; those that nobody can use go nowhere."""
        placed: list[_Placed] = []
        spelled: dict[str, str] = {}
        taken: set[tuple[str, str]] = set()
        general = self._base(self.walk.document.get("servers"), ("servers",))
        for operation in [each for each in self.walk.operations if each.path is not None]:
            path = self._external(operation, general)
            access = self._access(operation, path)
            if access is None:
                continue
            pattern = _TEMPLATE.sub("{}", path)
            first = spelled.setdefault(pattern, path)
            if (pattern, operation.method) in taken:
                self.walk.warn(
                    operation.at,
                    f"is a second {operation.method.upper()} {first}, and is left out",
                    "keep one of them",
                )
                continue
            renamed: dict[str, str] = {}
            if first != path:
                pairs = zip(
                    objects.names_in(path) or (), objects.names_in(first) or (), strict=True
                )
                renamed = {old: new for old, new in pairs if old != new}
                self.walk.warn(
                    operation.at,
                    f"has another name for the same path: {first}; it is taken over",
                    "call the parameters alike",
                )
            taken.add((pattern, operation.method))
            placed.append(_Placed(operation, access, first, renamed))
        return placed

    def _external(self, operation: Operation, general: str) -> str:
        assert operation.path is not None
        base = general
        for holder, at in ((operation.item, operation.at[:-1]), (operation.tree, operation.at)):
            if "servers" in holder:
                base = self._base(holder["servers"], (*at, "servers"))
        return addresses.external(self.part, base, operation.path)

    def _base(self, servers: Any, at: Place) -> str:
        try:
            base = addresses.base_of(servers)
            for each in servers[1:] if isinstance(servers, list) else ():
                if addresses.base_of([each]) != base:
                    self.walk.warn(
                        at, "are at different paths; the first one counts", "keep one of them"
                    )
                    break
        except addresses.Unusable:
            self.walk.warn(at, "has a URL that cannot be understood", "write one like /v1")
            return ""
        return base

    def _access(self, operation: Operation, path: str) -> Access | None:
        prefix = self.part.prefix
        if objects.names_in(path) is None or not path.startswith("/"):
            what = f"would be at {path}, which is no path"
        elif any(
            len(other) > len(prefix) and addresses.is_below(path, other) for other in self.others
        ):
            what = f"would be at {path}, which is another backend's"
        else:
            access = self.settings.permit(self.part.api, operation.method.upper(), path)
            if access is not None:
                return access
            what = f"is at {path}, which nobody may use through the gateway"
        if self._is_referred_to(operation):
            self.walk.warn(operation.at, f"{what}; others refer to it", "move what they refer to")
            return Access() if objects.names_in(path) is not None else None
        self.walk.warn(
            operation.at,
            f"{what}, and is left out",
            "have it added to open_paths of this backend, or take no notice",
        )
        return None

    def _is_referred_to(self, operation: Operation) -> bool:
        size = len(operation.at)
        return any(
            link.target is not None
            and link.target[:size] == operation.at
            and link.at[:size] != operation.at
            for link in self.walk.links
        )

    def _paths(self, placed: list[_Placed]) -> dict[str, dict[str, Any]]:
        """The path items of the result, each with the operations that go there."""
        sources: dict[str, set[str]] = {}
        goals: dict[str, set[str]] = {}
        for each in placed:
            assert each.operation.path is not None
            sources.setdefault(each.path, set()).add(each.operation.path)
            goals.setdefault(each.operation.path, set()).add(each.path)
        paths: dict[str, dict[str, Any]] = {}
        for each in placed:
            operation = each.operation
            assert operation.path is not None
            whole = len(sources[each.path]) == 1 and len(goals[operation.path]) == 1
            item = paths.setdefault(each.path, {})
            for key, value in operation.item.items():
                if key in _OF_ITEM or key.startswith("x-") or (key == "parameters" and whole):
                    item.setdefault(key, value)
            self._places[operation.at] = ("paths", each.path, operation.method)
            at = operation.at[:-1]
            if whole:
                self._places[at] = ("paths", each.path)
            elif operation.item.get("parameters"):
                self._take_down(operation, each)
            operation.tree.pop("servers", None)
            item[operation.method] = operation.tree
        return paths

    def _take_down(self, operation: Operation, placed: _Placed) -> None:
        """Give an operation the parameters of its path item, which it leaves."""
        follow = self._resolved.follow
        own = operation.tree.setdefault("parameters", [])
        keys = {self._key(follow(each)) for each in own}
        goal = ("paths", placed.path, operation.method, "parameters")
        for n, each in enumerate(operation.item["parameters"]):
            if self._key(follow(each)) not in keys:
                self._places.setdefault(
                    (*operation.at[:-1], "parameters", str(n)), (*goal, str(len(own)))
                )
                own.append(each)

    @staticmethod
    def _key(parameter: Any) -> tuple[Any, Any]:
        if not isinstance(parameter, dict):
            return (None, None)
        return (parameter.get("in"), parameter.get("name"))

    def _rename_parameters(self, placed: _Placed, share: Share) -> None:
        """Call path parameters what the path calls them."""
        tree = placed.operation.tree
        for n, each in enumerate(tree.get("parameters", [])):
            found = self._resolved.follow(each)
            if isinstance(found, dict) and found.get("in") == "path":
                name = placed.renamed.get(found["name"])
                if name is not None:
                    tree["parameters"][n] = {**found, "name": name}

    # Operations

    def _secure(self, placed: list[_Placed]) -> None:
        """Security for clients of the gateway, and no parameter that cannot get through."""
        schemes = self._whole_schemes()
        kept: dict[str, Any] = {}
        new: dict[str, str] = {}

        def name_of(name: str) -> str:
            if name not in new:
                at = ("components", "securitySchemes", name)
                new[name] = self.names.component("securitySchemes", name, at)
                kept[new[name]] = schemes[name]
            return new[name]

        guard = Guard(schemes, self.settings.token_parameter, name_of)
        items: dict[int, tuple[dict[str, Any], Place, Access]] = {}
        for each in placed:
            operation, tree = each.operation, each.operation.tree
            tree["security"] = guard.requirements(tree.get("security"), self._general, each.access)
            self._drop_parameters(tree, operation.at, each.access)
            items.setdefault(id(operation.item), (operation.item, operation.at[:-1], each.access))
        for item, at, access in items.values():
            self._drop_parameters(item, at, access)
        for operation in self.walk.operations:
            if operation.path is None and "security" in operation.tree:
                operation.tree["security"] = [
                    {
                        name_of(name): scopes
                        for name, scopes in alternative.items()
                        if isinstance(schemes.get(name), dict)
                    }
                    for alternative in operation.tree["security"]
                ]
        self._components["securitySchemes"] = kept

    def _whole_schemes(self) -> dict[str, Any]:
        """The backend's security schemes, as far as they are any."""
        found = {}
        for name, reference_or_scheme in self._components.get("securitySchemes", {}).items():
            scheme = self._resolved.follow(reference_or_scheme)
            lacking = objects.lacks(scheme) if isinstance(scheme, dict) else ["type"]
            if lacking:
                self.walk.warn(
                    ("components", "securitySchemes", name),
                    f"has no {' and no '.join(lacking)}, and is left out",
                    "see OpenAPI's Security Scheme Object",
                )
            else:
                found[name] = scheme
        return found

    def _drop_parameters(self, holder: dict[str, Any], at: Place, access: Access) -> None:
        """A header field that the gateway writes itself is no parameter of a client."""
        if "parameters" not in holder:
            return
        kept: list[Any] = []
        for n, each in enumerate(holder["parameters"]):
            found = self._resolved.follow(each)
            where, name = self._key(found)
            if where == "cookie":
                name = "Cookie"
            if where in ("header", "cookie") and not header_passes(name, access):
                continue
            self.walk.shifts[(*at, "parameters", str(n))] = (str(len(kept)),)
            kept.append(each)
        holder["parameters"] = kept
        if not kept:
            del holder["parameters"]

    def _identify(self, placed: list[_Placed]) -> None:
        """operationIds and tags, of callbacks and webhooks too."""
        used = {id(each.operation) for each in placed}
        for operation in self.walk.operations:
            if operation.path is not None and id(operation) not in used:
                continue
            if operation.at[:2] == ("components", "pathItems") and not self._is_used(
                operation.at[2]
            ):
                continue
            tree, name = operation.tree, operation.tree.get("operationId")
            if name is not None or operation.path is not None:
                at = (*operation.at, "operationId") if name is not None else operation.at
                tree["operationId"] = self.names.operation(
                    name, operation.method, operation.path or "", at
                )
            if operation.path is None and not tree.get("tags"):
                continue
            self._shown_tags.update(dict.fromkeys(tree.get("tags", ())))
            tree["tags"] = list(
                dict.fromkeys(self.names.tag(tag) for tag in tree.get("tags") or [None])
            )

    # Names

    def _rename(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for section, items in self._components.items():
            if section == "securitySchemes":
                found[section] = items
                continue
            for name, item in items.items():
                at = ("components", section, name)
                if section == "pathItems" and not self._is_used(name):
                    continue
                new = self.names.component(section, name, at)
                self._places[at] = ("components", section, new)
                found.setdefault(section, {})[new] = item
                title = item.get("title") if isinstance(item, dict) else None
                if section == "schemas" and isinstance(title, str):
                    # FastAPI gives each model one, and generators of clients call a class by it
                    # rather than by the component's name: two of the same would be lost.
                    item["title"] = new if title == name else capitalised(self.part.api) + title
        return {section: items for section, items in found.items() if items}

    def _is_used(self, path_item: str) -> bool:
        at = ("components", "pathItems", path_item)
        return any(link.target is not None and link.target[:3] == at for link in self.walk.links)

    def _fill_links(self) -> None:
        """Write every reference anew."""
        ids = {each.at: each.tree.get("operationId") for each in self.walk.operations}
        anchors = {
            name: self.names.component("$dynamicAnchor", name, at[0])
            for name, at in self.walk.dynamic.items()
        }
        for at in (place for places in self.walk.dynamic.values() for place in places):
            tree = self.walk.trees.get(at)
            if isinstance(tree, dict) and "$dynamicAnchor" in tree:
                tree["$dynamicAnchor"] = anchors[tree["$dynamicAnchor"]]
        for link in self.walk.links:
            assert link.target is not None, "an error otherwise"
            if link.kind == "operationId":
                link.holder[link.key] = ids[link.target]
                if self._relocated(link.target) is None:
                    self._lost(link.at)
                continue
            name = link.text.rpartition("#")[2]
            if link.key == "$dynamicRef" and name in anchors:
                link.holder[link.key] = f"#{anchors[name]}"
                continue
            place = self._relocated(link.target)
            if place is None:
                self._lost(link.at)
            else:
                link.holder[link.key] = reference(place)

    def _lost(self, at: Place) -> None:
        self.walk.error(
            at, "leads into an operation that is left out", "put what it leads to into components"
        )

    def _relocated(self, place: Place) -> Place | None:
        """Where something of the source is in the result; None: nowhere."""
        found: list[str] = []
        for n in range(1, len(place) + 1):
            start = place[:n]
            if start in self._places:
                found = list(self._places[start])
            else:
                found += self.walk.shifts.get(start, place[n - 1 : n])
        if place[0] == "paths" and not any(place[:n] in self._places for n in (2, 3, 4)):
            return None
        return tuple(found)

    # About the API

    def _tags(self, tags: list[dict[str, Any]], docs: Any) -> list[dict[str, Any]]:
        first: dict[str, Any] = {"name": self.names.tag(None), "description": self._words()}
        if docs is not None:
            first["externalDocs"] = docs
        found = {first["name"]: first}
        for n, tag in enumerate(tags):
            name = self.names.tag(tag["name"])
            if name in found:
                self.walk.warn(("tags", str(n)), "is there twice", "keep one of them")
            else:
                found[name] = {**tag, "name": name}
        for name in map(self.names.tag, self._shown_tags):
            found.setdefault(name, {"name": name})
        return list(found.values())

    def _words(self) -> str:
        """What the document says of itself, as Markdown."""
        info = self._info()
        title = _text(info.get("title")) or self.part.api
        version = _text(info.get("version"))
        lines = [f"**{title}**" + (f", version {version}" if version else "")]
        lines.extend(filter(None, (_text(info.get("summary")), _text(info.get("description")))))
        contact, licence = info.get("contact"), info.get("license")
        known = [_named("Contact", contact), _named("Licence", licence)]
        terms = _text(info.get("termsOfService"))
        known.append(f"[Terms of service]({terms})" if terms else "")
        lines.extend(["; ".join(filter(None, known))] if any(known) else [])
        return "\n\n".join(lines)

    def _info(self) -> dict[str, Any]:
        info = self.walk.document.get("info")
        return info if isinstance(info, dict) else {}

    def _about(self, docs: Any) -> dict[str, Any]:
        """What `x-toolforge-gateway` says of the API."""
        document = self.walk.document
        found = {
            "path": self.part.prefix,
            "openapi": document["openapi"],
            "info": self._info(),
        }
        if docs is not None:
            found["externalDocs"] = docs
        found.update({key: value for key, value in document.items() if key.startswith("x-")})
        return found


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _named(what: str, value: Any) -> str:
    """A contact or a licence in a few words."""
    if not isinstance(value, dict):
        return ""
    name = _text(value.get("name")) or _text(value.get("identifier"))
    url, mail = _text(value.get("url")), _text(value.get("email"))
    words = f"[{name or url}]({url})" if url else name
    if mail:
        words = f"{words} <{mail}>".strip()
    return f"{what}: {words}" if words else ""

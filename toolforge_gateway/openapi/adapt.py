"""One backend's document as its share of the merged one."""

from __future__ import annotations

from typing import Any

import attrs

from toolforge_gateway.openapi import objects
from toolforge_gateway.openapi.about import About
from toolforge_gateway.openapi.mending import Mending
from toolforge_gateway.openapi.names import PartNames, capitalised
from toolforge_gateway.openapi.part import Access, Part, Settings
from toolforge_gateway.openapi.placing import Placed, Placing, key_of
from toolforge_gateway.openapi.pointer import Place, reference
from toolforge_gateway.openapi.record import Record
from toolforge_gateway.openapi.resolve import Resolved, resolve
from toolforge_gateway.openapi.security import Guard, header_passes
from toolforge_gateway.openapi.walk import Walk


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
class Adapter:
    """Makes the share of one part.

    :param others: prefixes of the other parts.
    """

    part: Part
    settings: Settings
    record: Record
    names: PartNames
    others: frozenset[str]
    _components: dict[str, dict[str, Any]] = attrs.field(init=False)
    _general: Any = attrs.field(init=False)
    """What the document asks for where an operation does not say."""
    _resolved: Resolved = attrs.field(init=False)
    _placing: Placing = attrs.field(init=False)
    _shown_tags: dict[str, None] = attrs.Factory(dict)
    _used: set[Place] | None = None
    _dropped: dict[Place, Any] = attrs.Factory(dict)
    """Parameters that are left out, by their places."""

    def share(self) -> Share:
        """The share; worth nothing if the record has errors then."""
        record, walk = self.record, Walk(self.record)
        walk.rest()
        walk.paths()
        self._components = walk.components()
        webhooks = walk.webhooks()
        self._general = walk.security()
        tags, docs = walk.tags(), walk.docs()
        self._resolved = resolve(record)
        mending = Mending(record, self._resolved, self._components)
        for operation in record.operations:
            mending.parameters(operation)
        if any(finding.level == "error" for finding in record.findings):
            return Share()
        mending.schemas()
        self._placing = Placing(
            self.part, self.settings.permit, self.others, record, self._resolved
        )
        placed = self._placing.all()
        self._secure(placed)
        self._identify(placed)
        share = Share(paths=self._placing.paths(placed), components=self._rename())
        for name, item in webhooks.items():
            new = self.names.webhook(name, ("webhooks", name))
            self._placing.places["webhooks", name] = ("webhooks", new)
            share.webhooks[new] = item
        self._fill_links()
        for each in placed:
            if each.renamed:
                self._rename_parameters(each)
        about = About(self.part, record, self.names)
        share.tags = about.tags(tags, self._shown_tags, docs)
        share.about = about.about(docs)
        return share

    def _rename_parameters(self, placed: Placed) -> None:
        """Call path parameters what the path calls them."""
        tree = placed.operation.tree
        for n, each in enumerate(tree.get("parameters", [])):
            found = self._resolved.follow(each)
            if isinstance(found, dict) and found.get("in") == "path":
                name = placed.renamed.get(found["name"])
                if name is not None:
                    tree["parameters"][n] = {**found, "name": name}

    # Operations

    def _secure(self, placed: list[Placed]) -> None:
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
        for operation in self.record.operations:
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
                self.record.warn(
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
            where, name = key_of(found)
            if where == "cookie":
                name = "Cookie"
            here = (*at, "parameters", str(n))
            if where in ("header", "cookie") and not header_passes(name, access):
                self._dropped[here] = each
                continue
            self.record.shifts[here] = (str(len(kept)),)
            self._placing.sources.setdefault(here[:-1], []).append(here[-1])
            kept.append(each)
        holder["parameters"] = kept
        if not kept:
            del holder["parameters"]

    def _identify(self, placed: list[Placed]) -> None:
        """operationIds and tags, of callbacks and webhooks too."""
        used = {id(each.operation) for each in placed}
        for operation in self.record.operations:
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
                self._placing.places[at] = ("components", section, new)
                found.setdefault(section, {})[new] = item
                title = item.get("title") if isinstance(item, dict) else None
                if section == "schemas" and isinstance(title, str):
                    # FastAPI gives each model one, and generators of clients call a class by it
                    # rather than by the component's name: two of the same would be lost.
                    item["title"] = new if title == name else capitalised(self.part.api) + title
        return {section: items for section, items in found.items() if items}

    def _is_used(self, path_item: str) -> bool:
        """Whether anything leads into a path item of `components`; others were written out."""
        if self._used is None:
            self._used = {link.target[:3] for link in self.record.links if link.target is not None}
        return ("components", "pathItems", path_item) in self._used

    def _fill_links(self) -> None:
        """Write every reference anew."""
        ids = {each.at: each.tree.get("operationId") for each in self.record.operations}
        anchors = {
            name: self.names.component("$dynamicAnchor", name, at[0])
            for name, at in self.record.dynamic.items()
        }
        for places in self.record.dynamic.values():
            for second in places[1:]:
                self.record.error(
                    (*second, "$dynamicAnchor"),
                    "is there twice, which cannot be told apart without $id",
                    "choose another name",
                )
        for at in (place for places in self.record.dynamic.values() for place in places):
            tree = self.record.trees.get(at)
            if isinstance(tree, dict) and "$dynamicAnchor" in tree:
                tree["$dynamicAnchor"] = anchors[tree["$dynamicAnchor"]]
        dropped = {id(each) for each in self._dropped.values()}
        for link in self.record.links:
            assert link.target is not None, "an error otherwise"
            if id(link.holder) in dropped:
                continue
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
        self.record.error(
            at, "leads into something that is left out", "put what it leads to into components"
        )

    def _relocated(self, place: Place) -> Place | None:
        """Where something of the source is in the result; None: nowhere."""
        found: list[str] = []
        for n in range(1, len(place) + 1):
            start = place[:n]
            if start in self._dropped:
                return None
            if start in self._placing.places:
                found = list(self._placing.places[start])
            else:
                found += self.record.shifts.get(start, place[n - 1 : n])
        if place[0] == "paths" and not any(place[:n] in self._placing.places for n in (2, 3, 4)):
            return None
        return tuple(found)

"""Where the operations of a document are in the merged one."""

from __future__ import annotations

import re
from typing import Any

import attrs

from toolforge_gateway.openapi import addresses, objects
from toolforge_gateway.openapi.part import Access, Part, Permit
from toolforge_gateway.openapi.pointer import Place
from toolforge_gateway.openapi.record import Operation, Record
from toolforge_gateway.openapi.resolve import Resolved

_TEMPLATE = re.compile(r"\{[^}]*\}")
_OF_ITEM = ("summary", "description")


@attrs.define(eq=False)
class Placed:
    """Where an operation of `paths` goes."""

    operation: Operation
    access: Access
    path: str
    """The external path, with the names of templates that are used for it."""
    renamed: dict[str, str]
    """The document's own names of templates to those, where they differ."""


@attrs.define(eq=False)
class Placing:
    """Finds places for the operations of one part.

    :param others: prefixes of the other parts.
    """

    part: Part
    permit: Permit
    others: frozenset[str]
    record: Record
    resolved: Resolved
    places: dict[Place, Place] = attrs.Factory(dict)
    """Places of the source that are somewhere else in the result."""
    sources: dict[Place, list[str]] = attrs.Factory(dict)
    """Lists of parameters that have become shorter: where each had been."""
    _referred: set[Place] | None = None

    def all(self) -> list[Placed]:
        """Where the operations of `paths` go; those that nobody can use go nowhere."""
        placed: list[Placed] = []
        spelled: dict[str, str] = {}
        taken: set[tuple[str, str]] = set()
        general = self._base(self.record.document.get("servers"), ("servers",))
        for operation in [each for each in self.record.operations if each.path is not None]:
            path = self._external(operation, general)
            access = self._access(operation, path)
            if access is None:
                continue
            pattern = _TEMPLATE.sub("{}", path)
            first = spelled.setdefault(pattern, path)
            if (pattern, operation.method) in taken:
                self.record.warn(
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
                self.record.warn(
                    operation.at,
                    f"has another name for the same path: {first}; it is taken over",
                    "call the parameters alike",
                )
            taken.add((pattern, operation.method))
            placed.append(Placed(operation, access, first, renamed))
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
                    self.record.warn(
                        at, "are at different paths; the first one counts", "keep one of them"
                    )
                    break
        except addresses.Unusable:
            self.record.warn(at, "has a URL that cannot be understood", "write one like /v1")
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
            access = self.permit(self.part.api, operation.method.upper(), path)
            if access is not None:
                return access
            what = f"is at {path}, which nobody may use through the gateway"
        if self._is_referred_to(operation):
            self.record.warn(operation.at, f"{what}; others refer to it", "move what they refer to")
            return Access() if objects.names_in(path) is not None else None
        self.record.warn(
            operation.at,
            f"{what}, and is left out",
            "have it added to open_paths of this backend, or take no notice",
        )
        return None

    def _is_referred_to(self, operation: Operation) -> bool:
        """Whether anything outside of it leads into it."""
        if self._referred is None:
            self._referred = {
                link.target[:3]
                for link in self.record.links
                if link.target is not None and link.target[:3] != link.at[:3]
            }
        return operation.at in self._referred

    def paths(self, placed: list[Placed]) -> dict[str, dict[str, Any]]:
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
            self.places[operation.at] = ("paths", each.path, operation.method)
            at = operation.at[:-1]
            if whole:
                self.places[at] = ("paths", each.path)
            elif operation.item.get("parameters"):
                self._take_down(operation, each)
            operation.tree.pop("servers", None)
            item[operation.method] = operation.tree
        return paths

    def _take_down(self, operation: Operation, placed: Placed) -> None:
        """Give an operation the parameters of its path item, which it leaves."""
        follow = self.resolved.follow
        own = operation.tree.setdefault("parameters", [])
        keys = {key_of(follow(each)) for each in own}
        goal = ("paths", placed.path, operation.method, "parameters")
        at = (*operation.at[:-1], "parameters")
        had_been = self.sources.get(at) or map(str, range(len(operation.item["parameters"])))
        for n, each in zip(had_been, operation.item["parameters"], strict=True):
            if key_of(follow(each)) not in keys:
                self.places.setdefault((*at, n), (*goal, str(len(own))))
                own.append(each)


def key_of(parameter: Any) -> tuple[Any, Any]:
    """What parameters of one list differ in: where they are, and their name."""
    if not isinstance(parameter, dict):
        return (None, None)
    return (parameter.get("in"), parameter.get("name"))

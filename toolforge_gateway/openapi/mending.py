"""What can only be seen, and put right, once references can be followed."""

from __future__ import annotations

from typing import Any

import attrs

from toolforge_gateway.openapi import objects
from toolforge_gateway.openapi.defaults import Budget, fits
from toolforge_gateway.openapi.pointer import Place
from toolforge_gateway.openapi.record import Operation, Record
from toolforge_gateway.openapi.resolve import Resolved

FAR = 100
"""Schemas that are looked through for a property; one further away counts as described nowhere."""


@attrs.frozen
class Mending:
    """Looks at parameters and schemas together with what they refer to."""

    record: Record
    resolved: Resolved
    components: dict[str, dict[str, Any]]

    def parameters(self, operation: Operation) -> None:
        """What OpenAPI 3.1.1 section 4.8.12 asks of a list, and of path templates."""
        in_path = set()
        for holder, at in (
            (operation.item, operation.at[:-1]),
            (operation.tree, operation.at),
        ):
            seen = set()
            for n, each in enumerate(holder.get("parameters", [])):
                found = self.resolved.follow(each)
                if not isinstance(found, dict):
                    continue
                key = (found.get("in"), found.get("name"))
                here = (*at, "parameters", str(n))
                if key in seen:
                    self.record.error(here, f"is a second {key[0]} parameter {key[1]}", "keep one")
                seen.add(key)
                if key[0] == "path":
                    in_path.add(key[1])
        if operation.path is None:
            return
        names = objects.names_in(operation.path) or []
        for name in sorted(set(names) - in_path):
            self.record.error(
                operation.at, f"has no parameter for {{{name}}} of its path", "describe it"
            )
        for name in sorted(str(name) for name in in_path - set(names)):
            self.record.error(
                operation.at,
                f"has a path parameter {name} that is not in its path",
                "put it there, or remove it",
            )
        if len(set(names)) < len(names):
            self.record.error(operation.at[:2], "has a name twice in its path", "rename one")

    def schemas(self) -> None:
        """Defaults, required properties and discriminators."""
        follow, budget = self.resolved.follow, Budget()
        for at, schema in self.record.defaults:
            default = schema["default"]
            verdict = fits(default, schema, follow, budget)
            if isinstance(default, dict) and isinstance(default.get("$ref"), str):
                verdict = None  # validators follow it as if it were a reference
            if verdict is not True:
                del schema["default"]
                why = "does not fit its schema" if verdict is False else "cannot be checked"
                self.record.warn((*at, "default"), f"{why}, and is left out", "see the schema")
        for tree in self.record.trees.values():
            if isinstance(tree, dict) and "allOf" in tree and "required" in tree:
                self._require_inside(tree)
        mapped: dict[int, set[Place | None]] = {}
        for link in self.record.links:
            if link.bare:
                mapped.setdefault(id(link.holder), set()).add(link.target)
        heirs = self._heirs()
        for at, schema in self.record.discriminators:
            known = mapped.get(id(schema["discriminator"].get("mapping")), set())
            self._spell_out(schema, known, heirs.get(at, []))

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
        while waiting and len(seen) < FAR:
            tree = self.resolved.follow(waiting.pop())
            if not isinstance(tree, dict) or id(tree) in seen:
                continue
            seen.add(id(tree))
            found.update(tree.get("properties", ()))
            for word in ("allOf", "anyOf", "oneOf"):
                waiting.extend(tree.get(word, ()))
            waiting.extend(tree[word] for word in ("items", "not") if word in tree)
        return found

    def _spell_out(
        self, schema: dict[str, Any], known: set[Place | None], heirs: list[Place]
    ) -> None:
        """Write into a discriminator what follows from names of components, as these change.

        :param known: what its mapping names.
        :param heirs: the schemas that are this one and something more.
        """
        own = [*schema.get("oneOf", ()), *schema.get("anyOf", ())]
        for target in map(self._target_of, own) if own else heirs:
            if target is None or target in known or target[:2] != ("components", "schemas"):
                continue
            mapping = schema["discriminator"].setdefault("mapping", {})
            if len(target) == 3 and target[2] not in mapping:
                link = self.record.link(mapping, target[2], target, "schema", target[2])
                link.target = target

    def _heirs(self) -> dict[Place, list[Place]]:
        """By schema, the component schemas that have it in their `allOf`."""
        found: dict[Place, list[Place]] = {}
        for name, schema in self.components.get("schemas", {}).items():
            for each in schema.get("allOf", ()) if isinstance(schema, dict) else ():
                base = self._target_of(each)
                if base is not None:
                    found.setdefault(base, []).append(("components", "schemas", name))
        return found

    def _target_of(self, tree: Any) -> Place | None:
        link = self.resolved.link_of(tree)
        return None if link is None else link.target

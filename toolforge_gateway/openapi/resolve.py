"""Where the references of a document lead."""

from __future__ import annotations

from typing import Any

import attrs

from toolforge_gateway.openapi.grammar import COMPONENT_NAME
from toolforge_gateway.openapi.pointer import Nowhere, Place, look_up
from toolforge_gateway.openapi.walk import Link, Walk, article


@attrs.define
class Resolved:
    """Follows the references of one document."""

    walk: Walk
    _by_holder: dict[int, Link] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        links = (link for link in self.walk.links if link.key == "$ref" and not link.bare)
        self._by_holder = {id(link.holder): link for link in links}

    def link_of(self, tree: Any) -> Link | None:
        """The reference that an object is; None: it is none."""
        return self._by_holder.get(id(tree))

    def follow(self, tree: Any) -> Any:
        """What an object stands for: itself unless it is a reference."""
        for _ in range(_LONGEST_CHAIN):
            link = self._by_holder.get(id(tree))
            if link is None or link.target is None:
                return tree
            tree = self.walk.trees.get(link.target)
        return tree

    def goes_round(self, link: Link) -> bool:
        """Whether following a reference leads to itself, or never ends."""
        seen = {id(link.holder)}
        at: Link | None = link
        while at is not None and at.target is not None:
            tree = self.walk.trees.get(at.target)
            if id(tree) in seen:
                return True
            seen.add(id(tree))
            at = self._by_holder.get(id(tree))
        return False


_LONGEST_CHAIN = 1000


def resolve(walk: Walk) -> Resolved:
    """Give every link its target; those that cannot have one are errors."""
    ids: dict[str, Place] = {}
    for operation in walk.operations:
        name = operation.tree.get("operationId")
        if name is not None:
            ids.setdefault(name, operation.at)
    for link in walk.links:
        link.target = _target(walk, link, ids)
    resolved = Resolved(walk)
    for link in walk.links:
        if link.key == "$ref" and not link.bare and resolved.goes_round(link):
            walk.error(link.at, "goes round in a circle", "write what it stands for")
    return resolved


def _target(walk: Walk, link: Link, ids: dict[str, Place]) -> Place | None:
    if link.kind == "operationId":
        if link.text not in ids:
            walk.error(
                link.at, f"names no operation: {link.text}", "name one of this document, or remove"
            )
        return ids.get(link.text)
    if link.bare and COMPONENT_NAME.fullmatch(link.text):
        named = ("components", "schemas", link.text)
        if named in walk.kinds:
            return named
    place = walk.local(link)
    if place is None:
        walk.error(
            link.at,
            f"leads out of the document, and nothing is fetched: {link.text}",
            "put what it stands for into components",
        )
        return None
    if walk.kinds.get(place) == link.kind:
        return place
    try:
        look_up(walk.document, place)
    except Nowhere:
        walk.error(
            link.at, f"leads to nothing: {link.text}", f"add that {link.kind}, or name another"
        )
    else:
        is_ = walk.kinds.get(place)
        what = f"{article(is_)} and no {link.kind}" if is_ else f"what is no {link.kind}"
        walk.error(
            link.at,
            f"leads to {what}: {link.text}",
            f"put {article(link.kind)} into components and name that",
        )
    return None

"""Where the references of a document lead."""

from __future__ import annotations

from typing import Any

import attrs

from toolforge_gateway.openapi.grammar import COMPONENT_NAME
from toolforge_gateway.openapi.pointer import Nowhere, Place, look_up
from toolforge_gateway.openapi.record import Link, Record, article

LONGEST_CHAIN = 30
"""References that lead to references, one after the other."""


@attrs.define
class Resolved:
    """Follows the references of one document."""

    record: Record
    _by_holder: dict[int, Link] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        links = (link for link in self.record.links if link.key == "$ref" and not link.bare)
        self._by_holder = {id(link.holder): link for link in links}

    def link_of(self, tree: Any) -> Link | None:
        """The reference that an object is; None: it is none."""
        return self._by_holder.get(id(tree))

    def follow(self, tree: Any) -> Any:
        """What an object stands for: itself unless it is a reference."""
        for _ in range(LONGEST_CHAIN):
            link = self._by_holder.get(id(tree))
            if link is None or link.target is None:
                return tree
            tree = self.record.trees.get(link.target)
        return tree

    def goes_round(self, link: Link) -> bool:
        """Whether following a reference leads through too many others, or never ends."""
        at: Link | None = link
        for _ in range(LONGEST_CHAIN):
            if at is None or at.target is None:
                return False
            at = self._by_holder.get(id(self.record.trees.get(at.target)))
        return True


def resolve(record: Record) -> Resolved:
    """Give every link its target; those that cannot have one are errors."""
    ids: dict[str, Place] = {}
    for operation in record.operations:
        name = operation.tree.get("operationId")
        if name is not None:
            ids.setdefault(name, operation.at)
    for link in record.links:
        link.target = _target(record, link, ids)
    resolved = Resolved(record)
    for link in record.links:
        if link.key == "$ref" and not link.bare and resolved.goes_round(link):
            record.error(
                link.at,
                "goes round in a circle, or through too many others",
                "write what it stands for",
            )
    return resolved


def _target(record: Record, link: Link, ids: dict[str, Place]) -> Place | None:
    if link.kind == "operationId":
        if link.text not in ids:
            record.error(
                link.at, f"names no operation: {link.text}", "name one of this document, or remove"
            )
        return ids.get(link.text)
    if link.bare and COMPONENT_NAME.fullmatch(link.text):
        named = ("components", "schemas", link.text)
        if named in record.kinds:
            return named
    place = record.place(link.text, link.base)
    if place is None:
        record.error(
            link.at,
            f"leads out of the document, and nothing is fetched: {link.text}",
            "put what it stands for into components",
        )
        return None
    if record.kinds.get(place) == link.kind:
        return place
    try:
        look_up(record.document, place)
    except Nowhere:
        record.error(
            link.at, f"leads to nothing: {link.text}", f"add that {link.kind}, or name another"
        )
    else:
        is_ = record.kinds.get(place)
        what = f"{article(is_)} and no {link.kind}" if is_ else f"what is no {link.kind}"
        record.error(
            link.at,
            f"leads to {what}: {link.text}",
            f"put {article(link.kind)} into components and name that",
        )
    return None

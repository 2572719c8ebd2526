"""What an identity may use of a backend, said for people and programs.

No second set of rules: the authorizer itself is asked, about one path of each
sort that its rules tell apart.  Layer 1.
"""

from __future__ import annotations

import enum
import re

import attrs

from toolforge_gateway.errors import Refusal
from toolforge_gateway.interfaces import IAuthorizer
from toolforge_gateway.model import Identity, Kind
from toolforge_gateway.routing import Route


class Extent(enum.Enum):
    """How much of one sort of paths may be used."""

    ALL = "all"
    IN_SCOPE = "in-scope"
    """Those that the identity's patterns match."""
    NOBODY = "nobody"
    """All, but the backend is not told who calls, and decides for itself."""
    NONE = "none"


@attrs.frozen
class Reach:
    """What an identity may use of one backend, by sorts of paths."""

    own_tool: Extent
    """Paths that name the tool that it is; NONE for whoever is no tool."""
    other_tools: Extent
    """Paths that name another tool."""
    open_paths: Extent
    """The backend's open paths."""
    elsewhere: Extent
    """All the others."""
    anonymous_paths: Extent
    """Those among them that are open to anonymous callers."""

    @property
    def widest(self) -> str:
        """In one word: `all`, `own-tool`, `patterns`, `open-paths`, `as-nobody` or `none`."""
        extents = (self.elsewhere, self.other_tools, self.own_tool, self.open_paths)
        if Extent.ALL in (self.elsewhere, self.other_tools):
            return "all"
        if self.own_tool is Extent.ALL:
            return "own-tool"
        if Extent.IN_SCOPE in extents:
            return "patterns"
        if Extent.NOBODY in (self.elsewhere, self.other_tools):
            return "as-nobody"
        if self.open_paths is not Extent.NONE or self.anonymous_paths is not Extent.NONE:
            return "open-paths"
        return "none"


@attrs.frozen
class _Supposed(Route):
    """A route about whose next path everything is known."""

    tool: str | None = None
    opened: bool = False
    for_anyone: bool = False

    def tool_of(self, path: str) -> str | None:
        return self.tool

    def is_open(self, path: str) -> bool:
        return self.opened

    def is_anonymous(self, path: str) -> bool:
        return self.for_anyone


_EVERYTHING = (re.compile(".*"),)


def reach(authorizer: IAuthorizer, identity: Identity, route: Route) -> Reach:
    """Ask what an identity may use of a backend.

    :param authorizer: whose rules they are.
    """

    def extent(tool: str | None = None, opened: bool = False, for_anyone: bool = False) -> Extent:
        supposed = _Supposed(
            name=route.name,
            prefix=route.prefix,
            tool_path=route.tool_path,
            anonymous=route.anonymous,
            tool=tool,
            opened=opened,
            for_anyone=for_anyone,
        )
        return _extent(authorizer, identity, supposed)

    own = identity.name if identity.kind is Kind.TOOL else None
    other = "another" if own != "another" else "yet-another"
    scoped = route.tool_path is not None
    return Reach(
        own_tool=extent(tool=own) if own is not None and scoped else Extent.NONE,
        other_tools=extent(tool=other) if scoped else Extent.NONE,
        open_paths=extent(opened=True) if route.open_paths else Extent.NONE,
        elsewhere=extent(),
        anonymous_paths=extent(for_anyone=True) if route.anonymous_paths else Extent.NONE,
    )


def _extent(authorizer: IAuthorizer, identity: Identity, route: Route) -> Extent:
    if identity.paths is None:
        return _asked(authorizer, identity, route)
    # Whatever the patterns are: what if they matched nothing, what if everything?
    anyway = _asked(authorizer, attrs.evolve(identity, paths=()), route)
    if anyway is not Extent.NONE:
        return anyway
    within = _asked(authorizer, attrs.evolve(identity, paths=_EVERYTHING), route)
    return Extent.NONE if within is Extent.NONE else Extent.IN_SCOPE


def _asked(authorizer: IAuthorizer, identity: Identity, route: Route) -> Extent:
    try:
        decision = authorizer.authorize(identity, route, "GET", route.prefix)
    except Refusal:
        return Extent.NONE
    nobody = identity.kind is Kind.ANONYMOUS and decision.reason == "anonymous"
    return Extent.NOBODY if nobody else Extent.ALL

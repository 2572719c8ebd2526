"""Who may do what: the rules of Toolforge, as a pure function.

The match of path and identity is made here and nowhere else: the backends
answer for whatever tool the path names.  Layer 1: no reactor, no I/O.
"""

from __future__ import annotations

import re
from typing import NoReturn

from zope.interface import implementer

from toolforge_gateway.errors import Refusal
from toolforge_gateway.interfaces import IAuthorizer
from toolforge_gateway.model import Decision, Identity, Kind
from toolforge_gateway.routing import Route

ALLOWED = frozenset(
    ["own-tool", "open-path", "known-caller", "superuser", "admin", "anonymous", "unverified-token"]
)
"""All reasons that a `Decision` has here: what is allowed goes to its backend."""


def in_scope(patterns: tuple[re.Pattern[str], ...], path: str) -> bool:
    """Whether one of the patterns matches the whole path.

    `fullmatch` whatever the pattern says of `^` and `$`: an unanchored
    `/jobs/` would also be found in `/envvars/v1/tool/x/jobs/`.  A line end is
    never part of a path, although `[^/]+` would match one.

    :param path: the external path as received, no query.
    """
    if "\n" in path or "\r" in path:
        return False
    return any(pattern.fullmatch(path) for pattern in patterns)


@implementer(IAuthorizer)
class ToolforgeAuthorizer:
    """A tool may use its own paths, others what their scope opens.

    Two rules come before all others.  On a tool-scoped backend a path that
    names no tool and is not one of the few open paths is nobody's, because a
    backend may read a tool in it that we do not.  And an identity that has a
    scope does not leave it.

    What the backend is told:

    ==========================  ====================  =================
    identity                    X-Toolforge-Tool      X-Toolforge-User
    ==========================  ====================  =================
    tool                        its name              its name
    service                     the path's tool       its name
    admin, in its scope         the path's tool       its name
    admin, on an open path      absent                its name
    not asserted, or nobody     absent                absent
    ==========================  ====================  =================
    """

    def authorize(self, identity: Identity, route: Route, method: str, path: str) -> Decision:
        """See `IAuthorizer`.

        :raise Refusal: 401 `no-evidence`; 403 `not-tool-scoped`,
            `foreign-tool`, `out-of-scope` or `admin-not-here`.
        """
        tool = route.tool_of(path)
        opened = tool is None and route.is_open(path)
        if identity.kind is Kind.ANONYMOUS:
            decision = _anonymous(route, path, tool, opened)
        elif tool is None and not opened and route.tool_path is not None:
            _not_tool_scoped(route)
        else:
            decision = _DECIDE[identity.kind](identity, path, tool, opened)
        return decision if identity.asserted else Decision(decision.reason)


def _anonymous(route: Route, path: str, tool: str | None, opened: bool) -> Decision:
    """Let the backend answer, unless the route says that we do."""
    if route.is_anonymous(path):
        return Decision("anonymous")
    if tool is None and not opened and route.tool_path is not None:
        _not_tool_scoped(route)
    if route.anonymous == "refuse":
        raise Refusal(
            401,
            "no-evidence",
            "this address needs a client certificate or a token, and none came; "
            "run this on a Toolforge bastion as your tool, or add your credentials",
        )
    return Decision("anonymous")


def _tool(identity: Identity, path: str, tool: str | None, opened: bool) -> Decision:
    if tool is not None and tool != identity.name:
        raise Refusal(
            403,
            "foreign-tool",
            f"your certificate is for tool {identity.name}, the path is for tool {tool}",
        )
    if identity.paths is not None and not in_scope(identity.paths, path):
        _out_of_scope(identity)
    return Decision(_reason(tool, opened), tool=identity.name, user=identity.name)


def _service(identity: Identity, path: str, tool: str | None, opened: bool) -> Decision:
    if identity.paths is None or not in_scope(identity.paths, path):
        _out_of_scope(identity)
    return Decision("superuser", tool=tool, user=identity.name)


def _admin(identity: Identity, path: str, tool: str | None, opened: bool) -> Decision:
    # The tool is only ever the path's, and only where the configuration opens
    # the path: an administrator called like a tool is not that tool.
    if identity.paths is not None and in_scope(identity.paths, path):
        return Decision("admin", tool=tool, user=identity.name)
    if tool is not None:
        raise Refusal(
            403,
            "admin-not-here",
            f"you are the administrator {identity.name}, the path is for tool {tool}; "
            "act as the tool (become), or have this path added to admin_paths",
        )
    return Decision(_reason(tool, opened), user=identity.name)


def _unverified(identity: Identity, path: str, tool: str | None, opened: bool) -> Decision:
    # Even where anonymous callers are refused: the backend checks the token.
    if identity.paths is not None and not in_scope(identity.paths, path):
        _out_of_scope(identity)
    return Decision("unverified-token")


_DECIDE = {
    Kind.TOOL: _tool,
    Kind.SERVICE: _service,
    Kind.ADMIN: _admin,
    Kind.UNVERIFIED_TOKEN: _unverified,
}


def _reason(tool: str | None, opened: bool) -> str:
    if tool is not None:
        return "own-tool"
    return "open-path" if opened else "known-caller"


def _not_tool_scoped(route: Route) -> NoReturn:
    example = f"{route.prefix}{route.tool_path.text if route.tool_path else ''}"
    raise Refusal(
        403,
        "not-tool-scoped",
        f"the path names no tool; paths of {route.name} look like {example}/...",
    )


def _out_of_scope(identity: Identity) -> NoReturn:
    raise Refusal(
        403,
        "out-of-scope",
        f"{identity.name} may not use this path; "
        "ask the administrators of the gateway to widen its scope",
    )

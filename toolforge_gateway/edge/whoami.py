"""`/whoami`: who the gateway takes a caller for, and what that opens."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from twisted.web.resource import Resource
from zope.interface import implementer

from toolforge_gateway.edge.tree import NotFound, refuse
from toolforge_gateway.edge.visitor import IPersonal, Visitor, visitor_of
from toolforge_gateway.interfaces import IAuthorizer
from toolforge_gateway.model import Certificate, Identity, Kind
from toolforge_gateway.pages.answers import NO_STORE, content, refuse_to_change, send
from toolforge_gateway.reach import Extent, Reach, reach
from toolforge_gateway.routing import PathTemplate, Route

DAY = 86400

_SPECIAL = re.compile(r'[,+"\\<>;=]')
"""What a backslash stands before in a DN that is text (RFC 4514 section 2.4)."""
_escaped = r"\\\g<0>"

_NOBODY = (
    "no client certificate came with this request; run this on a Toolforge bastion as your tool, "
    "or give your certificate and key to the client (curl: --cert and --key). "
    "Tokens are looked at only where they are used"
)


@implementer(IPersonal)
class Whoami(Resource):
    """The page.

    :param routes: of all backends, in the order in which they are shown.
    :param authorizer: whose rules are told.
    :param seconds: POSIX time.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        authorizer: IAuthorizer,
        seconds: Callable[[], float],
    ):
        super().__init__()
        self._routes = tuple(routes)
        self._authorizer = authorizer
        self._seconds = seconds

    def getChild(self, path: bytes, request: Any) -> Resource:
        return NotFound()

    def render(self, request: Any) -> Any:
        """See `Resource`."""
        if request.method not in (b"GET", b"HEAD"):
            return refuse_to_change(request, refuse)
        text = json.dumps(self.account(visitor_of(request)), indent=2)
        return send(request, content(text.encode("ascii") + b"\n", "application/json"), NO_STORE)

    def account(self, visitor: Visitor) -> dict[str, Any]:
        """What is to be said to a visitor, for JSON."""
        identity, certificate = visitor.identity, visitor.certificate
        said: dict[str, Any] = {
            "name": identity.name or None,
            "kind": identity.kind.value,
            "authenticator": identity.authenticator or None,
            "certificate": certificate and describe(certificate, self._seconds()),
            "apis": [_api(self._authorizer, identity, route) for route in self._routes],
            "request_id": visitor.request_id,
        }
        if identity.kind is Kind.ANONYMOUS:
            said["message"] = _NOBODY
        return said


def describe(certificate: Certificate, now: float) -> dict[str, Any]:
    """A certificate's facts, for JSON; times as RFC 3339 has them.

    :param now: POSIX seconds.
    """
    return {
        "subject": ",".join(
            f"{kind}={_SPECIAL.sub(_escaped, value)}"
            for kind, value in certificate.subject.attributes
        ),
        "client_ca": certificate.client_ca,
        "not_before": rfc3339(certificate.not_before),
        "not_after": rfc3339(certificate.not_after),
        "days_left": days_left(certificate, now),
        "fingerprint_sha256": certificate.fingerprint,
    }


def days_left(certificate: Certificate, now: float) -> int:
    """Whole days until it, or a certificate that vouches for it, runs out."""
    return math.floor((certificate.not_after - now) / DAY)


def rfc3339(seconds: float) -> str:
    """POSIX seconds as `2026-11-22T01:24:00Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _api(authorizer: IAuthorizer, identity: Identity, route: Route) -> dict[str, Any]:
    extents = reach(authorizer, identity, route)
    said: dict[str, Any] = {
        "name": route.name,
        "path": route.prefix,
        "allowed": extents.widest,
        "paths": _paths(route, identity, extents),
    }
    if extents.widest == "patterns" or Extent.IN_SCOPE in (extents.own_tool, extents.open_paths):
        said["patterns"] = [pattern.pattern for pattern in identity.paths or ()]
    return said


def _paths(route: Route, identity: Identity, extents: Reach) -> list[str]:
    """Templates of the paths that are open as they are, whatever the patterns."""
    below: list[str] = []
    if route.tool_path is not None:
        if _is_open(extents.other_tools):
            below.append(f"{route.tool_path.text}/...")
        elif _is_open(extents.own_tool):
            below.append(f"{route.tool_path.text.replace('{tool}', identity.name)}/...")
    if _is_open(extents.elsewhere):
        return [*(route.prefix + each for each in below), f"{route.prefix}/..."]
    templates: tuple[PathTemplate, ...] = ()
    if _is_open(extents.open_paths):
        templates = route.open_paths
    if _is_open(extents.anonymous_paths):
        templates = (*templates, *route.anonymous_paths)
    below += dict.fromkeys(template.text for template in templates)
    return [route.prefix + each for each in below]


def _is_open(extent: Extent) -> bool:
    return extent in (Extent.ALL, Extent.NOBODY)

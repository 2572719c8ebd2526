"""Who asks for one of our own pages.

A page is an ordinary `twisted.web` Resource at the other end of a pipe in
memory, and nothing in the bytes that arrive there can be trusted to say who
sent them.  So the visitor stands at the pipe itself: it is what the Site is
told as the client's address, which no request can write.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.interfaces import IAddress
from zope.interface import Interface, implementer

from toolforge_gateway.edge.proxy_protocol import Address, address_of
from toolforge_gateway.model import ANONYMOUS, Certificate, Exchange, Identity


class IPersonal(Interface):
    """Marks a page, at the first segment of its path, that `visitor_of` tells
    who asks.

    Only for those the authenticators are asked; so a page that is the same
    for everyone, `/healthz` above all, never waits for any of them.
    """


@attrs.frozen
class Visitor:
    """The caller of one request for a page of ours."""

    identity: Identity
    """`model.ANONYMOUS` for nobody, and on pages that are not `IPersonal`."""
    certificate: Certificate | None
    """Verified; None when there is none."""
    address: Address | None
    """After PROXY, before X-Forwarded-For; None over a Unix socket."""
    request_id: str
    """As the log has it; made of visible ASCII."""
    trusted: bool = False
    """Whether X-Forwarded-* of this caller count."""
    account: Exchange | None = attrs.field(default=None, eq=False, repr=False)
    """What the log will say of the request."""


@implementer(IAddress)
@attrs.frozen
class VisitorAddress:
    """The client end of the pipe, as the Site sees it."""

    visitor: Visitor


def visitor_of(request: Any) -> Visitor:
    """Who sends this request.

    In a Site of somebody else's, where our pages can stand as well, nobody has
    been identified: there every visitor is anonymous, and without an id.

    :param request: a `twisted.web` Request.
    """
    address = request.getClientAddress()
    if isinstance(address, VisitorAddress):
        return address.visitor
    return Visitor(ANONYMOUS, None, address_of(address), "")


def note_reason(request: Any, reason: str) -> None:
    """Have the log say this reason word, instead of `own-page`.

    :param request: a `twisted.web` Request.
    """
    account = visitor_of(request).account
    if account is not None:
        account.reason = reason

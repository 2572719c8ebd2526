"""Identify and authorize, for whatever carries a request."""

from __future__ import annotations

from functools import lru_cache

from twisted.internet.defer import Deferred

from toolforge_gateway.auth.chain import AuthenticatorChain, Standing
from toolforge_gateway.edge.caller import Caller
from toolforge_gateway.edge.proxy_protocol import Address
from toolforge_gateway.http.message import RequestHead
from toolforge_gateway.http.target import Target
from toolforge_gateway.http.write import lines
from toolforge_gateway.interfaces import IAuthorizer
from toolforge_gateway.model import Certificate, Decision, Evidence, Exchange, Identity
from toolforge_gateway.routing import Route


class Gatekeeper:
    """Asks who calls, then whether they may.

    :param chain: the authenticators.
    :param authorizer: the rules.
    """

    def __init__(self, chain: AuthenticatorChain, authorizer: IAuthorizer):
        self._chain = chain
        self._authorizer = authorizer

    @property
    def looks_at_headers(self) -> bool:
        """Whether any authenticator wants to see header fields of requests."""
        return bool(self._chain.headers)

    def introduce(self, address: Address | None, certificate: Certificate | None) -> Standing:
        """Ask, once per connection, the authenticators that depend on it."""
        return self._chain.for_connection(Evidence(certificate=certificate, address=address))

    def admit(
        self,
        caller: Caller,
        identity: Identity | None,
        exchange: Exchange,
        route: Route,
        head: RequestHead,
        target: Target,
    ) -> Decision | Deferred[Decision]:
        """Decide one request, and note who it came from.

        :param identity: who it is, where the connection alone says so.
        :return: a Deferred only when an authenticator needs one.
        :raise Refusal: the reason why not.
        """
        method, path = exchange.method, target.path

        def judge(known: Identity) -> Decision:
            exchange.identity = known
            return self._authorizer.authorize(known, route, method, path)

        if identity is None:
            identity = self.recognize(caller, head, target, route.name)
            if isinstance(identity, Deferred):
                return identity.addCallback(judge)
        return judge(identity)

    def recognize(
        self, caller: Caller, head: RequestHead, target: Target, backend: str | None
    ) -> Identity | Deferred[Identity]:
        """Who sends this request, where the connection alone does not say so.

        :param backend: name of the backend; None for our own pages.
        :return: a Deferred only when an authenticator needs one.
        :raise Refusal: evidence was shown and is not good.
        """
        return caller.standing.for_request(self._evidence(caller, backend, head, target))

    def _evidence(
        self, caller: Caller, backend: str | None, head: RequestHead, target: Target
    ) -> Evidence:
        wanted = self._chain.headers
        return Evidence(
            certificate=caller.certificate,
            address=caller.address,
            method=head.method.decode("ascii"),
            path=target.path,
            query=target.query,
            backend=backend,
            headers=tuple(
                (name.decode("ascii").lower(), value.decode("latin-1"))
                for name, value in head.fields
                if wanted and name.decode("ascii").lower() in wanted
            ),
        )


def identity_lines(decision: Decision) -> bytes:
    """How a backend is told who calls, as header lines."""
    return _identity_lines(decision.tool, decision.user)


@lru_cache(maxsize=1024)
def _identity_lines(tool: str | None, user: str | None) -> bytes:
    said = ((b"X-Toolforge-Tool", tool), (b"X-Toolforge-User", user))
    return lines((name, value.encode("ascii")) for name, value in said if value is not None)

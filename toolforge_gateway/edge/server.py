"""What the connections of one listener share."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from sys import intern
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ServerFactory
from twisted.python.failure import Failure

from toolforge_gateway import forwarded, tracecontext
from toolforge_gateway.config.values import Limits, Listener, Timeouts, TrustedProxy
from toolforge_gateway.deadlines import Deadlines
from toolforge_gateway.edge.admission import Addresses, Turnstile
from toolforge_gateway.edge.caller import Caller, is_trusted
from toolforge_gateway.edge.clearance import Clearance
from toolforge_gateway.edge.connection import ServerConnection
from toolforge_gateway.edge.crosssite import CROSS_SITE, SiteRule
from toolforge_gateway.edge.examining import Examinations
from toolforge_gateway.edge.forward_auth import ForwardAuth, Parties, is_asked
from toolforge_gateway.edge.gatekeeper import Gatekeeper, identity_lines
from toolforge_gateway.edge.handshakes import FailedHandshakes
from toolforge_gateway.edge.local import LocalSite
from toolforge_gateway.edge.tree import NOT_FOUND
from toolforge_gateway.edge.upload import too_large
from toolforge_gateway.edge.visitor import Visitor
from toolforge_gateway.errors import Refusal
from toolforge_gateway.http.head import HeadLimits
from toolforge_gateway.http.known import KnownRequests
from toolforge_gateway.http.message import Framing, RequestHead
from toolforge_gateway.http.origin import web_origin
from toolforge_gateway.http.target import Target, check_target
from toolforge_gateway.interfaces import IAnswer, IForward, IObserver
from toolforge_gateway.model import ANONYMOUS, Decision, Exchange, Identity
from toolforge_gateway.proxy.resource import ReverseProxyResource
from toolforge_gateway.routing import RouteTable
from toolforge_gateway.tls.shown import ShownCertificates
from toolforge_gateway.tls.verifier import ClientVerifier

Start = Callable[[Exchange, IAnswer], IForward]

STREAM = 10.0
"""Seconds after which a request under way is taken for a stream: a followed log, for one."""

TOO_MANY = Refusal(
    503,
    "too-many-requests-at-once",
    "the gateway has as many requests under way as it can serve: please retry in a minute",
)


@attrs.frozen
class Shared:
    """What all listeners share."""

    gatekeeper: Gatekeeper
    routes: RouteTable[ReverseProxyResource]
    local: LocalSite
    deadlines: Deadlines
    timeouts: Timeouts
    limits: Limits
    observer: IObserver
    running: Turnstile
    """The exchanges under way."""
    addresses: Addresses
    """The connections of each address."""
    new_request_id: Callable[[], str]
    handshakes: FailedHandshakes = attrs.field(factory=FailedHandshakes)
    allowed_origins: frozenset[bytes] = frozenset()
    trusted_proxies: tuple[TrustedProxy, ...] = ()


class Server(ServerFactory):
    """Makes the connections of one listener and decides their requests.

    It lasts as long as the listener does, under one set of rules after another: see `adopt`.

    :param shared: what it has in common with other listeners.
    :param listener: its configuration.
    :param verifier: judges its clients' certificates.
    :param names_host: whether its own certificate covers a Host value.
    :ivar draining: no request after the current ones.
    """

    noisy = False

    def __init__(
        self,
        shared: Shared,
        listener: Listener,
        verifier: ClientVerifier,
        names_host: Callable[[bytes], bool],
    ):
        self.seconds = shared.deadlines.seconds
        self.draining = False
        self._late = 0.0
        self.connections: set[ServerConnection] = set()
        self._date = (0, b"")
        self._empty: Deferred[None] | None = None
        self._examinations = Examinations(shared.deadlines.clock)
        self._take(shared, listener, verifier, names_host)

    def _take(
        self,
        shared: Shared,
        listener: Listener,
        verifier: ClientVerifier,
        names_host: Callable[[bytes], bool],
    ) -> None:
        self.timeouts = shared.timeouts
        self.limits = shared.limits
        self.head_limits = HeadLimits(
            shared.limits.request_line, shared.limits.header_block, shared.limits.headers
        )
        self.requests = KnownRequests(self.head_limits)
        self._shared = shared
        self._listener = listener
        self._verifier = verifier
        self._names_host = names_host
        self._external = listener.external_url.encode("ascii") if listener.external_url else None
        own = web_origin(self._external) if self._external is not None else None
        self._sites = SiteRule(shared.allowed_origins | ({own} if own else set()), names_host)
        self._auth = ForwardAuth(
            shared.trusted_proxies,
            listener.is_unix,
            Parties(
                gatekeeper=shared.gatekeeper,
                routes=shared.routes,
                local=shared.local,
                sites=self._sites,
                shown=ShownCertificates(verifier),
                head_limits=self.head_limits,
            ),
            self.seconds,
            self.http_date,
        )

    def adopt(
        self,
        shared: Shared,
        listener: Listener,
        verifier: ClientVerifier,
        names_host: Callable[[bytes], bool],
    ) -> None:
        """Go on under other rules, with the parameters of `__init__`.

        What is under way ends as it began.  Who is connected is examined anew, and connections
        to whom the new rules do not grant what they had end after their current request.
        """
        believed = self.believes(listener)
        self._take(shared, listener, verifier, names_host)
        for connection in self.connections:
            connection.rules_changed(believed)
        self._examinations.begin(self.connections)

    def adopt_rules(self, shared: Shared) -> None:
        """The same for a listener that is gone from the configuration, until its last connection
        is gone too: what comes on one meanwhile is not decided by rules that hold no more."""
        self.adopt(shared, self._listener, self._verifier, self._names_host)

    def believes(self, listener: Listener) -> bool:
        """Whether who had an address by this configuration would have the same by the one in force:
        from a PROXY header, or from the socket because there was none."""
        return listener.proxy_protocol == self._listener.proxy_protocol

    def wants_certificate_of(self, caller: Caller) -> bool:
        """Whether a caller without one could not have connected by today's rules."""
        return caller.certificate is None and self._listener.tls.client_certificate == "required"

    def buildProtocol(self, addr: object) -> ServerConnection:
        return ServerConnection(self)

    # Connections.

    def admit(self, connection: ServerConnection) -> bool:
        """Count a connection in, unless its address has too many."""
        most = self.limits.connections_per_address
        if not self._shared.addresses.enter(connection.caller.address, most):
            return False
        self.connections.add(connection)
        self._shared.deadlines.watch(connection)
        return True

    def handshake_failed(self, caller: Caller, reason: Failure) -> None:
        """A connection has ended before its handshake had."""
        self._shared.handshakes.add(reason, caller.address, self.seconds())

    def forget(self, connection: ServerConnection) -> None:
        """Count it out."""
        if connection not in self.connections:
            return
        self.connections.remove(connection)
        self._shared.addresses.leave(connection.caller.address)
        self._shared.deadlines.forget(connection)
        if self._empty is not None and not self.connections:
            empty, self._empty = self._empty, None
            empty.callback(None)

    def drain(self) -> Deferred[None]:
        """No new requests; fires when the last connection is gone."""
        self.draining = True
        self._late = self.seconds() + self.timeouts.drain / 2
        done = self._empty = Deferred()
        for connection in tuple(self.connections):
            connection.drain()
        if not self.connections and self._empty is not None:
            self._empty = None
            done.callback(None)
        return done

    def is_late(self) -> bool:
        """Whether half of the time that connections have to end has passed."""
        return self.seconds() >= self._late

    def identify(self, transport: Any, caller: Caller) -> Caller:
        """Add what a finished handshake tells of a caller.

        :return: the same object.
        """
        handle = transport.getHandle()
        caller.tls_version = intern(handle.get_protocol_version_name())
        try:
            certificate = self._verifier.examine(handle)
            trusted = is_trusted(self._listener.forwarded, caller.address, certificate)
            caller.standing = self._shared.gatekeeper.introduce(caller.address, certificate)
            caller.certificate, caller.trusted = certificate, trusted
        except Refusal as refusal:
            caller.refusal = refusal
        return caller

    def examine_again(self) -> None:
        """Have the certificates of all open connections judged anew; what is refused now is
        refused with its next request."""
        self._auth.forget()
        for connection in self.connections:
            connection.authorities_changed()
        self._examinations.begin(self.connections)

    def streams(self) -> int:
        """How many requests have been under way for longer than `STREAM`; looks at every
        connection, a millisecond for some thousands of them."""
        before = self.seconds() - STREAM
        return sum(
            since is not None and since < before
            for since in (connection.serving_since for connection in self.connections)
        )

    # Requests.

    def begin_exchange(self, caller: Caller, head: RequestHead | None) -> tuple[Exchange, bytes]:
        """Open the account of a request, and work out the lines of X-Forwarded-*,
        and of the trace it belongs to, that go with it."""
        resolved = forwarded.resolve(
            head.fields if head is not None else (),
            peer=caller.peer,
            trusted=caller.trusted,
            host=head.host if head is not None else None,
            new_request_id=self._shared.new_request_id,
        )
        exchange = Exchange(resolved.request_id, resolved.client, self.seconds())
        exchange.tls_version = caller.tls_version
        added, trace = resolved.lines, None
        if head is not None:
            exchange.method = head.method.decode("ascii")
            trace = tracecontext.sent(head)
        if trace is None and caller.trusted:
            # Its request id may be anything, and no name for a trace.
            name = resolved.request_id
            if not tracecontext.is_name(name):
                name = self._shared.new_request_id()
            trace = tracecontext.begun(name)
        if trace is not None:
            exchange.trace_id = trace.trace_id
            added += trace.lines
        self._shared.running.open += 1
        return exchange, added

    def decide(
        self, caller: Caller, exchange: Exchange, head: RequestHead, added: bytes
    ) -> Start | Deferred[Start]:
        """Walk the line up to the forward.

        :raise Refusal: somewhere on the line the answer was no.
        """
        if caller.refusal is not None:
            raise caller.refusal.with_traceback(None)
        identity = caller.standing.settled(self.seconds())
        target = check_target(head.target)
        exchange.path = target.path
        resource = self._shared.routes.find(target.path)
        if resource is None and is_asked(target.path):
            return self._auth.decide(caller, exchange, head, target.path)
        if caller.certificate is not None and self._sites.refuses(head):
            raise CROSS_SITE.with_traceback(None)
        if resource is None:
            if not self._shared.local.serves(target.path):
                raise NOT_FOUND.with_traceback(None)
            exchange.reason = "own-page"
            return self._own_page(caller, identity, exchange, head, target, added)
        exchange.backend = resource.backend.name
        # Our own pages are served all the same: a load balancer that asks for
        # our health must not take us for dead because we are busy.
        if self._shared.running.open > self._shared.running.limit:
            raise TOO_MANY.with_traceback(None)
        if head.framing is Framing.LENGTH and head.length > self.limits.request_body:
            raise too_large(self.limits.request_body)

        def admitted(decision: Decision) -> Start:
            exchange.reason = decision.reason
            return Clearance(
                head,
                resource.outgoing(
                    head,
                    target,
                    added + identity_lines(decision),
                    lambda: self._external_for(head.host),
                    begins_trace=not exchange.trace_id,
                ),
                exchange.identity,
                exchange.client,
                target.path,
                decision.reason,
                # A trusted hop names each request itself, and so does who sends a trace.
                repeatable=(
                    identity is not None
                    and not caller.trusted
                    and not head.has_body
                    and not exchange.trace_id
                ),
            )

        decision = self._shared.gatekeeper.admit(
            caller, identity, exchange, resource.route, head, target
        )
        if isinstance(decision, Deferred):
            return decision.addCallback(admitted)
        return admitted(decision)

    def again(self, caller: Caller, clearance: Clearance) -> Exchange | None:
        """Open the account of a request that was cleared before on its connection.

        :return: None when it has to be decided anew.
        """
        running, now = self._shared.running, self.seconds()
        standing = caller.standing
        if (
            running.open >= running.limit
            or standing is None
            or not standing.is_settled(clearance.identity, now)
        ):
            return None
        running.open += 1
        return clearance.again(self._shared.new_request_id(), now, caller.tls_version)

    def _own_page(
        self,
        caller: Caller,
        identity: Identity | None,
        exchange: Exchange,
        head: RequestHead,
        target: Target,
        added: bytes,
    ) -> Start | Deferred[Start]:
        """Show a page of our own, to a known visitor if it wants to know.

        :param identity: who it is, where the connection alone says so.
        """

        def shown(known: Identity) -> Start:
            exchange.identity = known
            visitor = Visitor(
                known,
                caller.certificate,
                caller.address,
                exchange.request_id,
                caller.trusted,
                exchange,
            )
            return lambda _, answer: local.forward(head, added, visitor, answer)

        local = self._shared.local
        if not local.is_personal(target.path):
            return shown(ANONYMOUS)
        if identity is None:
            identity = self._shared.gatekeeper.recognize(caller, head, target, None)
            if isinstance(identity, Deferred):
                return identity.addCallback(shown)
        return shown(identity)

    def ended(self, exchange: Exchange) -> None:
        """An exchange is over."""
        self._shared.running.open -= 1
        exchange.ended_after = self.seconds() - exchange.started
        self._shared.observer.ended(exchange)

    def http_date(self) -> bytes:
        """The current date; made once a second."""
        now = int(self.seconds())
        if self._date[0] != now:
            self._date = now, formatdate(now, usegmt=True).encode("ascii")
        return self._date[1]

    def _external_for(self, host: bytes | None) -> bytes | None:
        if self._external is not None:
            return self._external
        if host is not None and self._names_host(host):
            return b"https://" + host
        return None

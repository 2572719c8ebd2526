"""`/auth`: a proxy in front asks who its client is, and whether they may.

The proxy is believed about what its client asked for and which certificate it
showed, and about nothing else: the certificate is verified again, the target
passes the same grammar, and routes, authenticators and rules are those of a
forwarded request, so that both decide alike.

An answer of 200 allows, and says who calls in `X-Toolforge-Tool` and
`X-Toolforge-User`; 401 and 403 refuse.  Any other word for no (400 for a
target, 404 for a path) becomes a 403, because proxies take only these for an
answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from toolforge_gateway.config.values import TrustedProxy
from toolforge_gateway.edge import refusals
from toolforge_gateway.edge.caller import Caller
from toolforge_gateway.edge.crosssite import CROSS_SITE, SiteRule
from toolforge_gateway.edge.gatekeeper import Gatekeeper, identity_lines
from toolforge_gateway.edge.local import LocalSite
from toolforge_gateway.edge.proxy_protocol import Address
from toolforge_gateway.edge.tree import NOT_FOUND
from toolforge_gateway.errors import Refusal
from toolforge_gateway.forwardauth.dialects import (
    DIALECTS,
    PREFIX,
    Dialect,
    Original,
    read_original,
)
from toolforge_gateway.forwardauth.shown import read_shown
from toolforge_gateway.http import write
from toolforge_gateway.http.grammar import HeadLimits, first_fault
from toolforge_gateway.http.head import method_fault
from toolforge_gateway.http.message import Framing, RequestHead, ResponseHead
from toolforge_gateway.http.target import check_target
from toolforge_gateway.interfaces import IAnswer
from toolforge_gateway.model import Certificate, Decision, Exchange, Identity, Kind
from toolforge_gateway.proxy.resource import ReverseProxyResource
from toolforge_gateway.routing import RouteTable, is_below
from toolforge_gateway.tls.shown import ShownCertificates

K, V = TypeVar("K"), TypeVar("V")

REMEMBERED = 1024
"""Clients whose certificates need not be verified again; about 4 kB each."""
LONGEST = 8192
"""Bytes of a header that is remembered."""
ASKED_AGAIN = 60.0
"""Seconds after which authenticators are asked anew about a client whom they
know by its certificate: behind a proxy no connection ends."""

Say = Callable[[Exchange, IAnswer], None]

NOT_A_PROXY = Refusal(
    403,
    "not-a-trusted-proxy",
    "only proxies that the gateway's configuration names (auth: trusted_proxies) may ask here; "
    "send your request to the API itself, or add this proxy's certificate to the configuration",
)

_OWN_PAGE = Decision("own-page")


def is_asked(path: str) -> bool:
    """Whether this path is for proxies that ask."""
    return is_below(path, PREFIX)


def is_proxy(proxy: TrustedProxy, certificate: Certificate) -> bool:
    """Whether this is the certificate that the proxy is known by."""
    return proxy.client is not None and (
        (certificate.client_ca, certificate.subject.values("CN"))
        == (proxy.client[0], proxy.client[1:])
    )


@attrs.frozen
class Parties:
    """Who decides, the same as for forwarded requests."""

    gatekeeper: Gatekeeper
    routes: RouteTable[ReverseProxyResource]
    local: LocalSite
    sites: SiteRule
    shown: ShownCertificates
    head_limits: HeadLimits


class ForwardAuth:
    """Answers at `/auth` of one listener.

    :param proxies: those of the configuration.
    :param unix: whether the listener is on a Unix socket.
    :param seconds: POSIX time.
    :param http_date: the current date as RFC 9110 section 5.6.7 wants it.
    """

    def __init__(
        self,
        proxies: Sequence[TrustedProxy],
        unix: bool,
        parties: Parties,
        seconds: Callable[[], float],
        http_date: Callable[[], bytes],
    ):
        self._proxies = tuple(proxies)
        unix_proxies = [proxy for proxy in proxies if proxy.client is None]
        self._by_socket = unix_proxies[0] if unix and unix_proxies else None
        self._parties = parties
        self._seconds = seconds
        self._http_date = http_date
        self._verified: dict[tuple[str, bytes], Certificate] = {}
        self._settled: dict[tuple[str, bytes, Address | None], Caller] = {}
        self._settled_until = -math.inf

    def forget(self) -> None:
        """The rules for certificates have changed: verify each anew."""
        self._verified.clear()
        self._settled.clear()

    def decide(
        self, caller: Caller, exchange: Exchange, head: RequestHead, path: str
    ) -> Say | Deferred[Say]:
        """Decide what the proxy asks, and give the answer back as a function.

        :param caller: the proxy.
        :param head: the proxy's request.
        :param path: that it came for.
        :raise Refusal: it is no proxy that may ask, or does not ask properly.
        """
        proxy = self._proxy(caller)
        dialect = DIALECTS[proxy.dialect]
        if dialect.uri and path != PREFIX:
            raise NOT_FOUND.with_traceback(None)
        certificate_from = proxy.certificate_from.encode() if proxy.certificate_from else None
        original = read_original(head, dialect, certificate_from)
        exchange.asked_by = proxy.name
        exchange.client = str(original.client or exchange.client)

        def allowed(decision: Decision) -> Say:
            exchange.reason = decision.reason
            return self._allow(exchange, decision)

        def refused(failure: Failure) -> Say:
            failure.trap(Refusal)
            return self._refuse(exchange, head, dialect, failure.value)

        try:
            decision = self._judge(proxy, original, head, exchange)
        except Refusal as refusal:
            return self._refuse(exchange, head, dialect, refusal)
        if isinstance(decision, Deferred):
            return decision.addCallback(allowed).addErrback(refused)
        return allowed(decision)

    def _proxy(self, caller: Caller) -> TrustedProxy:
        """:raise Refusal: nobody that we know."""
        if caller.certificate is not None:
            for proxy in self._proxies:
                if is_proxy(proxy, caller.certificate):
                    return proxy
        if self._by_socket is None or caller.address is not None:
            raise NOT_A_PROXY.with_traceback(None)
        return self._by_socket

    def _judge(
        self, proxy: TrustedProxy, original: Original, head: RequestHead, exchange: Exchange
    ) -> Decision | Deferred[Decision]:
        """The straight line, from the grammar to the rules.

        :raise Refusal: somewhere on it the answer was no.
        """
        parties = self._parties
        line = b"%b %b HTTP/1.1\r\n" % (original.method, original.uri)
        fault = first_fault(line, parties.head_limits) or method_fault(original.method)
        if fault is not None:
            raise fault
        exchange.method = original.method.decode("ascii")
        caller = self._caller(proxy, original)
        try:
            decision = self._decide(caller, original, head, exchange)
        except Refusal:
            _left(None, caller)
            raise
        if isinstance(decision, Deferred):
            return decision.addBoth(_left, caller)
        return decision

    def _decide(
        self, caller: Caller, original: Original, head: RequestHead, exchange: Exchange
    ) -> Decision | Deferred[Decision]:
        """What `Server.decide` does for a request to be forwarded."""
        parties = self._parties
        assert caller.standing is not None, "set by _caller"
        identity = caller.standing.settled(self._seconds())
        target = check_target(original.uri)
        exchange.path = target.path
        if caller.certificate is not None and parties.sites.refuses_asked(
            original.method, original.fields, original.host
        ):
            raise CROSS_SITE.with_traceback(None)
        asked = head.with_line(original.method, original.uri)
        if parties.gatekeeper.looks_at_headers:
            # The proxy's own are none of its client's.
            asked = attrs.evolve(asked, host=original.host, fields=original.fields, derived={})
        resource = parties.routes.find(target.path)
        if resource is not None:
            return parties.gatekeeper.admit(
                caller, identity, exchange, resource.route, asked, target
            )
        if is_asked(target.path) or not parties.local.serves(target.path):
            raise NOT_FOUND.with_traceback(None)
        if identity is None and parties.local.is_personal(target.path):
            known = parties.gatekeeper.recognize(caller, asked, target, None)
            if isinstance(known, Deferred):
                return known.addCallback(_shown)
        return _OWN_PAGE

    def _caller(self, proxy: TrustedProxy, original: Original) -> Caller:
        """The proxy's client.

        Who is settled by certificate and address is remembered.

        :raise Refusal: the certificate is no good.
        """
        if original.shown is None:
            return self._introduced(original.client, None)
        now = self._seconds()
        if now >= self._settled_until:
            self._settled.clear()
            self._settled_until = now + ASKED_AGAIN
        key = proxy.name, original.shown, original.client
        caller = self._settled.get(key)
        if caller is None:
            caller = self._introduced(original.client, self._certificate(proxy, original.shown))
            assert caller.standing is not None, "set by _introduced"
            if len(original.shown) <= LONGEST and caller.standing.settled(now) is not None:
                _remember(self._settled, key, caller)
        return caller

    def _introduced(self, address: Address | None, certificate: Certificate | None) -> Caller:
        standing = self._parties.gatekeeper.introduce(address, certificate)
        return Caller(address=address, certificate=certificate, standing=standing)

    def _certificate(self, proxy: TrustedProxy, value: bytes) -> Certificate:
        """What `Standing` looks at for each request, its dates and those of the
        list, can change; the rest of the judgement holds until `forget`."""
        key = proxy.name, value
        certificate = self._verified.get(key)
        if certificate is None:
            certificate = self._verify(proxy, value)
            if len(value) <= LONGEST:
                _remember(self._verified, key, certificate)
        return certificate

    def _verify(self, proxy: TrustedProxy, value: bytes) -> Certificate:
        shown = read_shown(value, proxy.dialect)
        if shown.subject is not None:
            # The proxy's word alone is enough for a tool, never for more.
            return Certificate(
                subject=shown.subject,
                client_ca=f"(said by {proxy.name})",
                identifies=proxy.identifies & {Kind.TOOL},
                not_before=-math.inf,
                not_after=math.inf,
                fingerprint="",
            )
        certificate = self._parties.shown.examine(shown.certificates)
        return attrs.evolve(certificate, identifies=certificate.identifies & proxy.identifies)

    def _allow(self, exchange: Exchange, decision: Decision) -> Say:
        lines = b"%b%bContent-Length: 0\r\n" % (
            identity_lines(decision),
            self._lines(exchange, decision.reason),
        )
        return lambda _, answer: answer.whole(_ALLOWED, lines, b"")

    def _refuse(
        self, exchange: Exchange, head: RequestHead, dialect: Dialect, refusal: Refusal
    ) -> Say:
        exchange.reason = refusal.reason
        status = refusal.status if refusal.status == 401 or refusal.status >= 500 else 403
        body = b""
        if dialect.takes_body:
            body = refusals.body(refusal, exchange.request_id)
        lines = b"%bContent-Type: application/json\r\nContent-Length: %d\r\n" % (
            self._lines(exchange, refusal.reason),
            len(body),
        )
        if head.method == b"HEAD":
            body = b""
        said = _head(status, refusals.phrase(status))
        return lambda _, answer: answer.whole(said, lines, body)

    def _lines(self, exchange: Exchange, reason: str) -> bytes:
        return write.lines(
            (
                (b"Date", self._http_date()),
                *refusals.telling(reason, exchange.request_id),
                (b"Cache-Control", b"no-store"),
                (b"X-Content-Type-Options", b"nosniff"),
            )
        )


def _remember(memory: dict[K, V], key: K, value: V) -> None:
    if len(memory) >= REMEMBERED:
        memory.clear()
    memory[key] = value


def _shown(_: Identity) -> Decision:
    return _OWN_PAGE


def _left(outcome: object, caller: Caller) -> object:
    """Whatever came of it, nobody waits for an answer about this client now."""
    if caller.standing is not None:
        caller.standing.lost()
    return outcome


def _head(status: int, phrase: bytes) -> ResponseHead:
    return ResponseHead(
        status=status,
        reason=phrase,
        minor=1,
        fields=(),
        framing=Framing.LENGTH,
        length=None,
        persistent=True,
        connection=frozenset(),
    )


_ALLOWED = _head(200, b"OK")

"""Composition: from a configuration to a running service.  Layer 5."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import Site

from toolforge_gateway import parts
from toolforge_gateway.aggregate import live_document
from toolforge_gateway.config.values import Backend, Configuration, Listener
from toolforge_gateway.deadlines import Deadlines
from toolforge_gateway.edge.admission import Turnstile
from toolforge_gateway.edge.api_document import ApiDocument
from toolforge_gateway.edge.crosssite import SiteRule
from toolforge_gateway.edge.descriptors import KEPT, room_for
from toolforge_gateway.edge.gatekeeper import Gatekeeper
from toolforge_gateway.edge.listening import over_tls
from toolforge_gateway.edge.local import LocalSite
from toolforge_gateway.edge.operations import operations_site
from toolforge_gateway.edge.request_ids import RequestIds
from toolforge_gateway.edge.revocation_watch import RevocationWatch
from toolforge_gateway.edge.server import Server, Shared
from toolforge_gateway.edge.traversal import Traversal
from toolforge_gateway.edge.tree import build_tree, compile_routes, greeting, refuse
from toolforge_gateway.edge.whoami import Whoami
from toolforge_gateway.errors import GatewayError
from toolforge_gateway.interfaces import IObserver
from toolforge_gateway.observe.accesslog import AccessLog
from toolforge_gateway.observe.several import Several
from toolforge_gateway.observe.sinks import Together, open_sink
from toolforge_gateway.openapi.live import LiveDocument
from toolforge_gateway.overview import Overview
from toolforge_gateway.pages.answers import Content
from toolforge_gateway.pages.assets import Assets
from toolforge_gateway.pages.docs import docs_page
from toolforge_gateway.pages.frame import Frame
from toolforge_gateway.policy import ToolforgeAuthorizer
from toolforge_gateway.proxy.pool import Pool
from toolforge_gateway.proxy.resource import ReverseProxyResource
from toolforge_gateway.routing import RouteTable
from toolforge_gateway.tls.server import ServerSide
from toolforge_gateway.transport.choice import Transports

log = Logger()


BACKLOG = 1024
"""New connections that may wait to be accepted.  Twisted's default of 50 makes
honest clients wait a second as soon as a crowd connects at once."""


class CannotListen(GatewayError):
    """A port of the configuration is not to be had."""


@attrs.frozen
class Prepared:
    """Everything that a configuration describes, built and joined, with no
    socket open: what a service runs."""

    configuration: Configuration
    listeners: tuple[tuple[Listener, ServerSide], ...]
    root: Resource
    """The Resource tree; it can be part of anybody's Site."""
    routes: RouteTable[ReverseProxyResource]
    gatekeeper: Gatekeeper
    deadlines: Deadlines
    transports: Transports
    pools: tuple[Pool, ...]
    overview: Overview
    frame: Frame
    """What pages look like."""
    new_request_id: Callable[[], str]
    api_document: LiveDocument[Content]


def prepare(
    configuration: Configuration, reactor: Any, transports: Transports | None = None
) -> Prepared:
    """Build all parts.

    :param transports: puts TLS under connections; by default the faster way
        that the reactor allows.
    :raise ConfigurationError: with the complaints of all parts at once.
    """
    loaded = parts.load(configuration, reactor)
    deadlines = Deadlines(reactor)
    transports = transports or Transports(reactor)
    authorizer = ToolforgeAuthorizer()
    gatekeeper = Gatekeeper(loaded.chain, authorizer)

    new_request_id = RequestIds()
    first = loaded.listeners[0]
    sites = SiteRule(configuration.allowed_origins, first.names_host)
    traversal = Traversal(gatekeeper, first.verifier, sites, reactor.seconds, new_request_id)

    def resource(backend: Backend) -> ReverseProxyResource:
        pool = Pool(
            reactor,
            backend.url.host,
            backend.url.port,
            loaded.upstream.creator_for(backend.server_name),
            transports,
            backend.timeouts.connect,
            deadlines,
        )
        return ReverseProxyResource(backend, pool, deadlines, traversal)

    proxies = tuple(resource(backend) for backend in configuration.backends)
    frame = Frame(Assets("/docs/assets", refuse))
    routes = [proxy.route for proxy in proxies]
    pages = {
        "docs": docs_page(frame, refuse),
        # Where browsers look for the icon of what is no page, like the document itself.
        "favicon.ico": frame.assets.page("icon.svg"),
        "whoami": Whoami(routes, authorizer, reactor.seconds),
    }
    api_document = live_document(configuration, loaded, reactor)
    if api_document.exists:
        pages["openapi.json"] = ApiDocument(lambda: api_document.json)
        pages["openapi.yaml"] = ApiDocument(lambda: api_document.yaml)
    overview = Overview(configuration, loaded, reactor, api_document.states)
    text = greeting(backend.path for backend in configuration.backends)
    root = build_tree(proxies, {**pages, **overview.pages(frame, text, refuse)})
    return Prepared(
        configuration=configuration,
        listeners=tuple(zip(configuration.listen, loaded.listeners, strict=True)),
        root=root,
        routes=compile_routes(root),
        gatekeeper=gatekeeper,
        deadlines=deadlines,
        transports=transports,
        pools=tuple(proxy.pool for proxy in proxies),
        overview=overview,
        frame=frame,
        new_request_id=new_request_id,
        api_document=api_document,
    )


def make_service(
    configuration: Configuration, reactor: Any, transports: Transports | None = None
) -> IService:
    """The gateway, ready to be started.

    :param transports: see `prepare`.
    :raise ConfigurationError: with all complaints.
    """
    prepared = prepare(configuration, reactor, transports)
    sink = open_sink(configuration.access_log, configuration.file)
    lines = Together(sink, prepared.transports.after)
    observer = Several(AccessLog(lines), *prepared.overview.observers)
    for warning in configuration.warnings:
        log.warn("{complaint}", complaint=warning)
    return GatewayService(prepared, observer, reactor, lines.flush)


class GatewayService(Service):
    """Listens while it runs; stopping lets what runs come to its end.

    :param observer: told of each exchange.
    :param at_end: called once nothing is left to be told to it.
    """

    name = "toolforge-gateway"

    def __init__(
        self,
        prepared: Prepared,
        observer: IObserver,
        reactor: Any,
        at_end: Callable[[], None] = lambda: None,
    ):
        self._at_end = at_end
        self._reactor = reactor
        self._prepared = prepared
        self._draining = False
        self._ports: list[IListeningPort] = []
        self._operations: list[IListeningPort] = []
        configuration = prepared.configuration
        site = Site(prepared.root, reactor=reactor, timeout=None)
        site.displayTracebacks = False
        self._running = Turnstile(configuration.limits.requests)
        shared = Shared(
            gatekeeper=prepared.gatekeeper,
            routes=prepared.routes,
            local=LocalSite(site, reactor, prepared.deadlines, configuration.timeouts),
            deadlines=prepared.deadlines,
            timeouts=configuration.timeouts,
            limits=configuration.limits,
            observer=observer,
            running=self._running,
            allowed_origins=configuration.allowed_origins,
            trusted_proxies=configuration.trusted_proxies,
            new_request_id=prepared.new_request_id,
        )
        self._servers = [
            (listener, side, Server(shared, listener, side.verifier, side.names_host))
            for listener, side in prepared.listeners
        ]
        self._watches = [
            RevocationWatch(side.refresh, server, prepared.deadlines)
            for _, side, server in self._servers
            if side.revokes
        ]

    def privilegedStartService(self) -> None:
        """Open the ports; twistd calls this before it drops privileges.

        :raise CannotListen: which endpoint, and why.
        """
        configuration = self._prepared.configuration
        turnstile = Turnstile(self._room(configuration.limits.connections))
        for listener, side, server in self._servers:
            transports = self._prepared.transports
            factory = over_tls(server, listener, side.creator, transports, turnstile, self._reactor)
            port = self._listen(listener.endpoint, factory)
            untouched = listener.proxy_protocol is None
            self._ports.append(transports.accepting(port, factory, untouched))
        if configuration.operations is not None:
            frame = attrs.evolve(self._prepared.frame, places=[("/status", "Status")])
            status = self._prepared.overview.operators_page(frame, refuse)
            site = operations_site(lambda: self._draining, self._reactor, status, frame.assets)
            self._operations.append(self._listen(configuration.operations.endpoint, site))

    def startService(self) -> None:
        """See `IService`."""
        if not self._ports:
            self.privilegedStartService()
        for watch in self._watches:
            watch.start()
        self._prepared.overview.start(self._open, lambda: self._draining)
        self._prepared.api_document.start()
        super().startService()

    def stopService(self) -> Deferred[None]:
        """Stop listening, let what runs finish within `timeouts.drain`.

        :return: fires when nothing is left.
        """
        super().stopService()
        self._draining = True
        ports, self._ports = self._ports, []
        over = [maybeDeferred(port.stopListening) for port in ports]
        over += [server.drain() for _, _, server in self._servers]
        over.append(self._prepared.api_document.stop())
        drain = self._prepared.configuration.timeouts.drain
        patience = self._reactor.callLater(drain, self._give_up)
        return DeferredList(over).addCallback(self._stopped, patience)

    def addresses(self) -> tuple[Any, ...]:
        """Where the listeners are, in the order of the configuration; tells
        the port where the configuration said 0."""
        return tuple(port.getHost() for port in self._ports)

    def operations_address(self) -> Any:
        """Where the operations port is; None when there is none."""
        return self._operations[0].getHost() if self._operations else None

    def _open(self) -> dict[str, int]:
        """What is open just now, for those who look at the status."""
        servers = [server for _, _, server in self._servers]
        return {
            "connections": sum(len(server.connections) for server in servers),
            "requests_under_way": self._running.open,
            "streams": sum(server.streams() for server in servers),
        }

    def _room(self, connections: int) -> int:
        """How many of the configured connections the process has descriptors for."""
        room = room_for(connections)
        if room < connections:
            log.warn(
                "file descriptors are enough for {room} connections, not for"
                " limits.connections ({connections}): raise the hard limit (ulimit -Hn)",
                room=room,
                connections=connections,
            )
            pools = self._prepared.pools
            for pool in pools:
                pool.max_idle = min(pool.max_idle, room // KEPT // len(pools))
        return room

    def _listen(self, endpoint: str, factory: IProtocolFactory) -> IListeningPort:
        listening = maybeDeferred(serverFromString(self._reactor, endpoint).listen, factory)
        ports: list[IListeningPort] = []
        failures: list[Any] = []
        listening.addCallbacks(ports.append, failures.append)
        if failures:
            self._close_ports()
            raise CannotListen(
                f"cannot listen on {endpoint}: {failures[0].getErrorMessage()}; "
                "stop what holds the address, or change the endpoint in the configuration"
            )
        if not ports:
            self._close_ports()
            raise CannotListen(f"cannot listen on {endpoint}: it is not ready at once")
        if "backlog=" not in endpoint and (listening_socket := getattr(ports[0], "socket", None)):
            listening_socket.listen(BACKLOG)
        return ports[0]

    def _close_ports(self) -> None:
        for port in self._ports + self._operations:
            port.stopListening()
        self._ports, self._operations = [], []

    def _give_up(self) -> None:
        for _, _, server in self._servers:
            for connection in tuple(server.connections):
                connection.give_up()

    def _stopped(self, _: object, patience: Any) -> Any:
        if patience.active():
            patience.cancel()
        for watch in self._watches:
            watch.stop()
        self._prepared.overview.stop()
        for pool in self._prepared.pools:
            pool.close()
        self._at_end()
        operations, self._operations = self._operations, []
        over = [maybeDeferred(port.stopListening) for port in operations]
        return DeferredList(over).addCallback(lambda _: None)

"""Everything that a configuration describes, built and joined, with no socket open.  Layer 5."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.web.resource import Resource
from twisted.web.server import Site

from toolforge_gateway import parts
from toolforge_gateway.aggregate import live_document
from toolforge_gateway.config.backend import Backend
from toolforge_gateway.config.values import Configuration, Listener
from toolforge_gateway.edge.api_document import ApiDocument
from toolforge_gateway.edge.crosssite import SiteRule
from toolforge_gateway.edge.gatekeeper import Gatekeeper
from toolforge_gateway.edge.local import LocalSite
from toolforge_gateway.edge.server import Shared
from toolforge_gateway.edge.traversal import Traversal
from toolforge_gateway.edge.tree import build_tree, compile_routes, greeting, refuse
from toolforge_gateway.edge.whoami import Whoami
from toolforge_gateway.interfaces import IObserver
from toolforge_gateway.openapi.live import LiveDocument
from toolforge_gateway.pages.answers import Content
from toolforge_gateway.pages.docs import docs_page
from toolforge_gateway.policy import ToolforgeAuthorizer
from toolforge_gateway.process import Process
from toolforge_gateway.proxy.pool import Pool
from toolforge_gateway.proxy.resource import ReverseProxyResource
from toolforge_gateway.routing import RouteTable
from toolforge_gateway.tls.server import ServerSide
from toolforge_gateway.transport.choice import Transports


@attrs.frozen
class Prepared:
    """What a service runs."""

    configuration: Configuration
    process: Process
    loaded: parts.Parts
    root: Resource
    """The Resource tree; it can be part of anybody's Site."""
    routes: RouteTable[ReverseProxyResource]
    gatekeeper: Gatekeeper
    pools: tuple[Pool, ...]
    api_document: LiveDocument[Content]

    @property
    def listeners(self) -> tuple[tuple[Listener, ServerSide], ...]:
        """The listeners and their TLS, in the order of the configuration."""
        return tuple(zip(self.configuration.listen, self.loaded.listeners, strict=True))

    def shared(self, observer: IObserver) -> Shared:
        """What all listeners share.

        :param observer: told of each exchange.
        """
        process, configuration = self.process, self.configuration
        site = Site(self.root, reactor=process.reactor, timeout=None)
        site.displayTracebacks = False
        return Shared(
            gatekeeper=self.gatekeeper,
            routes=self.routes,
            local=LocalSite(site, process.reactor, process.deadlines, configuration.timeouts),
            deadlines=process.deadlines,
            timeouts=configuration.timeouts,
            limits=configuration.limits,
            observer=observer,
            running=process.running,
            addresses=process.addresses,
            handshakes=process.handshakes,
            allowed_origins=configuration.allowed_origins,
            trusted_proxies=configuration.trusted_proxies,
            new_request_id=process.new_request_id,
        )

    def put_in_force(self) -> None:
        """Have what lasts go by this configuration."""
        process = self.process
        process.running.limit = self.configuration.limits.requests
        process.connections.limit = self.configuration.limits.connections
        process.overview.adopt(self.configuration, self.api_document.states, self.pools)


def prepare(
    configuration: Configuration,
    reactor: Any,
    transports: Transports | None = None,
    process: Process | None = None,
) -> Prepared:
    """Build all parts; nothing that runs hears of it.

    :param transports: puts TLS under connections; by default the faster way that the reactor
        allows.
    :param process: the one that is to run it; by default one that begins.
    :raise ConfigurationError: with the complaints of all parts at once.
    """
    process = process or Process.of(reactor, transports)
    loaded = parts.load(configuration, reactor)
    authorizer = ToolforgeAuthorizer()
    gatekeeper = Gatekeeper(loaded.chain, authorizer)
    first = loaded.listeners[0]
    sites = SiteRule(configuration.allowed_origins, first.names_host)
    traversal = Traversal(
        gatekeeper, first.verifier, sites, reactor.seconds, process.new_request_id
    )

    def resource(backend: Backend) -> ReverseProxyResource:
        assert loaded.upstream is not None, "there is one where there are backends"
        pool = Pool(
            reactor,
            backend,
            loaded.upstream.creator_for(backend.server_name),
            process.transports,
            process.deadlines,
        )
        return ReverseProxyResource(backend, pool, process.deadlines, traversal)

    proxies = tuple(resource(backend) for backend in configuration.backends)
    frame, overview = process.frame, process.overview
    pages: dict[str, Resource] = {
        "docs": docs_page(frame, refuse),
        # Where browsers look for the icon of what is no page, like the document itself.
        "favicon.ico": frame.assets.page("icon.svg"),
        "whoami": Whoami([proxy.route for proxy in proxies], authorizer, reactor.seconds),
    }
    api_document = live_document(configuration, loaded, reactor)
    if api_document.exists:
        pages["openapi.json"] = ApiDocument(lambda: api_document.json)
        pages["openapi.yaml"] = ApiDocument(lambda: api_document.yaml)
    text = greeting(backend.path for backend in configuration.backends)
    root = build_tree(
        proxies, {**pages, **overview.pages(frame, text, refuse)}, lambda: process.leaving
    )
    return Prepared(
        configuration=configuration,
        process=process,
        loaded=loaded,
        root=root,
        routes=compile_routes(root),
        gatekeeper=gatekeeper,
        pools=tuple(proxy.pool for proxy in proxies),
        api_document=api_document,
    )

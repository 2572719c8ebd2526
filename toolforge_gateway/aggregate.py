"""The document of all APIs, as a configuration wants it.  Layer 5.

Puts the rooms `openapi`, `tls` and `pages` together, for the running service and for those who
only want to know what it would say.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.threads import deferToThreadPool

from toolforge_gateway._version import __version__
from toolforge_gateway.auth.chain import AuthenticatorChain
from toolforge_gateway.auth.deploytoken import DeployToken
from toolforge_gateway.config.values import Configuration
from toolforge_gateway.openapi.access import Rule, Rules, TokenRule
from toolforge_gateway.openapi.fetch import Source, fetch
from toolforge_gateway.openapi.live import LiveDocument
from toolforge_gateway.openapi.part import Settings
from toolforge_gateway.pages.answers import Content, content
from toolforge_gateway.parts import Parts
from toolforge_gateway.tls.client import UpstreamSide

DESCRIPTION = """\
All APIs behind this gateway, in one document. A tool shows its TLS client certificate and may use
the paths that name it; where a deploy token is taken, that does as well.
"""


def settings_of(configuration: Configuration, chain: AuthenticatorChain) -> Settings:
    """What the gateway adds to the documents of its backends.

    :param chain: tells where deploy tokens are taken.
    """
    docs = configuration.openapi_docs
    tokens = [each for each in chain.authenticators if isinstance(each, DeployToken)]
    return Settings(
        title=docs.title,
        version=__version__,
        description=DESCRIPTION,
        servers=tuple((each.url, each.description or "") for each in docs.external_servers),
        permit=Rules(
            tuple(
                Rule(each.api if each.openapi else "", each.route, each.forward_credentials)
                for each in configuration.backends
            ),
            tuple(TokenRule(path.method, path.template) for each in tokens for path in each.paths),
        ),
        token_parameter=tokens[0].parameter if tokens else "token",
    )


def sources_of(configuration: Configuration, upstream: UpstreamSide | None) -> tuple[Source, ...]:
    """Where the documents are of those backends that have one to show.

    :param upstream: TLS towards backends; None only where there are none.
    """
    if upstream is None:
        return ()
    return tuple(
        Source(
            api=backend.api,
            prefix=backend.path,
            url=backend.url,
            path=backend.openapi,
            creator=upstream.creator_for(backend.server_name),
            places=backend.places,
        )
        for backend in configuration.backends
        if backend.openapi is not None
    )


def live_document(
    configuration: Configuration, loaded: Parts, reactor: Any
) -> LiveDocument[Content]:
    """The document of all APIs, to be started."""
    return LiveDocument(
        sources_of(configuration, loaded.upstream),
        settings_of(configuration, loaded.chain),
        configuration.openapi_docs.refresh,
        reactor,
        fetch=lambda source, etag: fetch(reactor, source, etag),
        offload=lambda work: deferToThreadPool(reactor, reactor.getThreadPool(), work),
        pack=content,
    )

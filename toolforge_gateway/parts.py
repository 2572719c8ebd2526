"""The parts that a configuration names, read and built: keys, authorities, authenticators.

Layer 5, between the values of `config`, which name files and plug-ins that may be anything, and
those who need the real things: the running service, `check` and `explain`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import attrs
from twisted.internet.interfaces import IReactorTime

from toolforge_gateway.auth.chain import AuthenticatorChain
from toolforge_gateway.auth.plugins import AuthenticatorContext, build_chain
from toolforge_gateway.config.values import Configuration
from toolforge_gateway.errors import Complaint, ConfigurationError
from toolforge_gateway.tls.client import UpstreamSide
from toolforge_gateway.tls.server import ServerSide

T = TypeVar("T")


@attrs.frozen
class Parts:
    """What one configuration needs besides the reactor, ready to use."""

    listeners: tuple[ServerSide, ...]
    """One for each entry of `listen`, in its order."""
    upstream: UpstreamSide | None
    """None when the configuration has no `upstream_tls`, and so no backends."""
    chain: AuthenticatorChain
    clock: IReactorTime = attrs.field(eq=False, repr=False)
    """What they go by."""


def load(configuration: Configuration, clock: IReactorTime) -> Parts:
    """Read all files and build all authenticators.

    :param clock: its `seconds()` are POSIX time.
    :raise ConfigurationError: with the complaints of every part, in the order of the file.
    """
    complaints: list[Complaint] = []

    def attempt(build: Callable[[], T]) -> T | None:
        try:
            return build()
        except ConfigurationError as error:
            complaints.extend(error.complaints)
            return None

    sides = [
        attempt(partial(ServerSide.load, listener.tls, clock)) for listener in configuration.listen
    ]
    upstream_tls = configuration.upstream_tls
    upstream = None
    if upstream_tls is not None:
        upstream = attempt(partial(UpstreamSide.load, upstream_tls, clock))
    context = AuthenticatorContext(
        tuple((backend.name, backend.path) for backend in configuration.backends), clock
    )
    chain = attempt(partial(build_chain, configuration.authenticators, context))
    if complaints:
        # Listeners may share a file: what is wrong with it is said once.
        raise ConfigurationError(
            sorted(dict.fromkeys(complaints), key=lambda complaint: complaint.line or 0)
        )
    assert chain is not None, "None only after a complaint"
    return Parts(tuple(side for side in sides if side is not None), upstream, chain, clock)

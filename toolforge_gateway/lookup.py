"""Names are looked up by the system, in threads that nobody has to wait for.  Layer 2.

The system's look-up cannot be cancelled, and takes many seconds when no name server answers.  In
the reactor's own threads it would keep the process from ending for as long, and everything else
that needs such a thread from going on.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
)
from zope.interface import implementer

_FAMILIES = {IPv4Address: socket.AF_INET, IPv6Address: socket.AF_INET6}
_KINDS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}


def install(reactor: Any) -> None:
    """Have a reactor look names up like this, if it lets itself be told how."""
    if IReactorPluggableNameResolver.providedBy(reactor):
        reactor.installNameResolver(ThreadedResolver(reactor))


@implementer(IHostnameResolver)
class ThreadedResolver:
    """Asks the system, with a thread for each question.

    :param reactor: IReactorThreads.
    :param ask: `socket.getaddrinfo`.
    """

    def __init__(self, reactor: Any, ask: Callable[..., Sequence[Any]] = socket.getaddrinfo):
        self._reactor = reactor
        self._ask = ask

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[Any]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """See `IHostnameResolver`; a name that cannot be looked up has no address."""
        resolution = Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        families = {_FAMILIES[kind] for kind in addressTypes or _FAMILIES}
        family = families.pop() if len(families) == 1 else socket.AF_UNSPEC
        kind = _KINDS[transportSemantics]

        def deliver(found: Sequence[Any]) -> None:
            for family, _, _, _, where in found:
                for address, known in _FAMILIES.items():
                    if family == known:
                        resolutionReceiver.addressResolved(address(transportSemantics, *where))
            resolutionReceiver.resolutionComplete()

        def look() -> None:
            try:
                found = self._ask(hostName, portNumber, family, kind)
            except Exception:
                # Whatever it is: who asked would wait for ever.
                found = ()
            self._reactor.callFromThread(deliver, found)

        # A daemon: Python ends without it.
        thread = Thread(target=look, name=f"look-up of {hostName}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # there may be no more threads
            self._reactor.callFromThread(deliver, ())
        return resolution


@implementer(IHostResolution)
class Resolution:
    """One look-up; see `IHostResolution`."""

    def __init__(self, name: str):
        self.name = name

    def cancel(self) -> None:
        """The system cannot be interrupted; who cancels need not listen."""

"""Several observers as one."""

from __future__ import annotations

from zope.interface import implementer

from toolforge_gateway.interfaces import IObserver
from toolforge_gateway.model import Exchange


@implementer(IObserver)
class Several:
    """Tells each observer, in their order."""

    def __init__(self, *observers: IObserver):
        self._ended = tuple(observer.ended for observer in observers)

    def ended(self, exchange: Exchange) -> None:
        """See `IObserver`."""
        for ended in self._ended:
            ended(exchange)

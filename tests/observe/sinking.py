"""What the tests of the access log's ways share."""

from __future__ import annotations

from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.logger import formatEvent, globalLogPublisher

from tests.coroutines import CoroutineCase
from toolforge_gateway.config.values import AccessLog
from toolforge_gateway.observe.sinks import Sink, open_sink

FILE = Path("gateway.yaml")
LINE = '{"path":"/{x}","n":1}\n'


async def eventually(condition) -> None:
    """Wait for this to hold, five seconds at most."""
    for _ in range(500):
        if condition():
            return
        await deferLater(reactor, 0.01)
    raise AssertionError("waited in vain")


class SinkCase(CoroutineCase):
    def setUp(self) -> None:
        """Collect what is logged."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir(parents=True)
        self.logged: list[str] = []
        globalLogPublisher.addObserver(self.observe)
        self.addCleanup(globalLogPublisher.removeObserver, self.observe)

    def observe(self, event) -> None:
        if event.get("log_namespace", "").startswith("toolforge_gateway.observe."):
            self.logged.append(formatEvent(event))

    def sink(self, clock=reactor, **settings) -> Sink:
        return open_sink(AccessLog(**settings), FILE, clock)

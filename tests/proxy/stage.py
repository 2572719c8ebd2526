"""A pool between two fakes: its customers, and a network that does as the test says."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import attrs
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.config.samples import loaded
from toolforge_gateway.config.backend import Backend, BackendLimits, UpstreamAddress
from toolforge_gateway.config.values import Timeouts
from toolforge_gateway.deadlines import RESOLUTION, Deadlines
from toolforge_gateway.errors import BackendFailure
from toolforge_gateway.proxy.connection import UpstreamConnection
from toolforge_gateway.proxy.dialling import Dialling
from toolforge_gateway.proxy.pool import Pool

ONE, TWO, THREE = (UpstreamAddress(f"192.0.2.{n}", 443) for n in (1, 2, 3))


class Transport(StringTransport):
    """A backend's end as far as a pool sees it: `ISecureTransport`."""

    quiet = True
    ended = ""
    above: UpstreamConnection

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing is delayed here."""

    def is_quiet(self) -> bool:
        return self.quiet and not self.ended

    def close_now(self) -> None:
        self._end("closed")

    def abortConnection(self) -> None:
        self._end("aborted")

    def _end(self, how: str) -> None:
        if not self.ended:
            self.ended = how
            self.above.connectionLost(Failure(ConnectionDone()))


class Transports:
    """There is no TLS here; what would be above it is written down."""

    def __init__(self, built: list[UpstreamConnection]) -> None:
        self._built = built

    def client(self, creator: object, above: Factory) -> Factory:
        factory = Factory()
        factory.noisy = False

        def build(address: object) -> UpstreamConnection:
            self._built.append(above.buildProtocol(address))
            return self._built[-1]

        factory.buildProtocol = build
        return factory


@attrs.define(eq=False)
class Dial:
    """A TCP connection that the pool wants."""

    reactor: Network
    number: int
    where: UpstreamAddress
    transport: Transport | None = None

    @property
    def wanted(self) -> bool:
        """Whether it is still waited for."""
        return not self.reactor.connectors[self.number].stoppedConnecting

    def refuse(self, why: Exception | None = None) -> None:
        """It does not come about."""
        factory = self.reactor.tcpClients[self.number][2]
        connector = self.reactor.connectors[self.number]
        factory.clientConnectionFailed(connector, Failure(why or ConnectionRefusedError()))

    def accept(self) -> UpstreamConnection:
        """TCP is there, the handshake begins."""
        wrapper = self.reactor.tcpClients[self.number][2].buildProtocol(None)
        self.transport = Transport()
        connection = self.reactor.built[-1]
        self.transport.above = connection
        wrapper.makeConnection(self.transport)
        return connection

    def establish(self) -> UpstreamConnection:
        """The handshake is over too."""
        connection = self.accept()
        connection.handshakeCompleted()
        return connection


@implementer(IHostnameResolver)
class Network(MemoryReactorClock):
    """Writes down what is dialled and looked up, and answers when the test says so.

    :ivar names: answers to look-ups at once; a name that is not there has to wait.
    """

    def __init__(self) -> None:
        super().__init__()
        self.nameResolver = self
        self.built: list[UpstreamConnection] = []
        """What was put on TCP connections."""
        self.names: dict[str, Sequence[str]] = {}
        self.asked: list[tuple[str, object]] = []

    def resolveHostName(self, receiver, host, port=0, addressTypes=None, transportSemantics="TCP"):
        receiver.resolutionBegan(None)
        self.asked.append((host, receiver))
        if host in self.names:
            self.answer(self.names[host])

    def answer(self, hosts: Sequence[str], which: int = -1) -> None:
        """A look-up ends."""
        receiver = self.asked[which][1]
        for host in hosts:
            receiver.addressResolved(UpstreamAddress(host, 0))
        receiver.resolutionComplete()

    @property
    def dials(self) -> list[Dial]:
        """All that was dialled so far."""
        return [
            Dial(self, n, UpstreamAddress(host, port))
            for n, (host, port, *_) in enumerate(self.tcpClients)
        ]


class Customer:
    """Whoever needs a connection."""

    def __init__(self) -> None:
        self.connection: UpstreamConnection | None = None
        self.failure: BackendFailure | None = None
        self.told = 0

    def connected(self, connection: UpstreamConnection) -> None:
        self.connection = connection
        self.told += 1

    def unavailable(self, failure: BackendFailure) -> None:
        self.failure = failure
        self.told += 1

    @property
    def reason(self) -> str:
        """Why there is no connection; "" while nobody has said so."""
        return "" if self.failure is None else self.failure.reason

    def dialled(self, connection: UpstreamConnection) -> None:
        """Not asked of a customer here."""

    def lost(self, reason: Failure) -> None:
        """See `ICustomer`."""

    def received(self, data: bytes) -> None:
        """See `ICustomer`."""

    def backend_full(self) -> None:
        """See `ICustomer`."""

    def backend_ready(self) -> None:
        """See `ICustomer`."""


class PoolCase(SynchronousTestCase):
    """Tests with one pool whose clock stands still."""

    addresses: tuple[UpstreamAddress, ...] = (ONE,)
    keys: dict[str, object] = {}
    """More of the backend."""
    timeouts = Timeouts(queue=4, connect=6)

    def setUp(self) -> None:
        self.network = Network()
        self.deadlines = Deadlines(self.network)
        self.random = Random(1)
        self.pool = self.pool_for(self.backend())
        self.addCleanup(self.pool.close)

    def backend(self, **keys: object) -> Backend:
        """What a configuration could say."""
        (backend,) = loaded("").backends
        plain = {"addresses": self.addresses, "timeouts": self.timeouts, **self.keys, **keys}
        return attrs.evolve(backend, **plain)

    def pool_for(self, backend: Backend) -> Pool:
        """A pool of its own."""
        return Pool(
            self.network,
            backend,
            None,
            Transports(self.network.built),
            self.deadlines,
            self.random.random,
        )

    def ask(self) -> tuple[Customer, Dialling]:
        """A request that found no kept connection."""
        customer = Customer()
        return customer, self.pool.dial(customer, self.timeouts)

    def borrow(self) -> UpstreamConnection:
        """A connection that is in use: a kept one, or a new one."""
        customer = Customer()
        connection = self.pool.take()
        if connection is None:
            self.pool.dial(customer, self.timeouts)
            connection = self.network.dials[-1].establish()
        connection.current = customer
        return connection

    def advance(self, seconds: float) -> None:
        """Time passes in steps, as it does for a reactor; a sweep more, for it may be late."""
        for _ in range(round(seconds / RESOLUTION) + 1):
            self.network.advance(RESOLUTION)

    def state(self, address: UpstreamAddress) -> str:
        """How an address is."""
        figures = self.pool.figures().addresses
        return next(each.state for each in figures if each.host == address.host)

    def spoil(self, address: UpstreamAddress, times: int = 3) -> None:
        """So many requests to an address have no answer."""
        (upstream,) = (each for each in self.pool.upstreams if each.address == address)
        for _ in range(times):
            self.pool.failed(upstream, "backend-closed", "a test")


LIMITED = BackendLimits(requests=2, queue=2)

"""The running gateway: it listens, takes up other configurations, and drains.  Layer 5."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from toolforge_gateway.config.options import by_line
from toolforge_gateway.config.values import Configuration, Listener, Operations
from toolforge_gateway.edge.descriptors import KEPT, room_for
from toolforge_gateway.edge.door import Door
from toolforge_gateway.errors import Complaint, ConfigurationError, GatewayError
from toolforge_gateway.interfaces import IObserver
from toolforge_gateway.listen.sockets import Place, Sockets, places
from toolforge_gateway.observe.accesslog import AccessLog
from toolforge_gateway.observe.several import Several
from toolforge_gateway.observe.sinks import Sink, open_sink
from toolforge_gateway.openings import Fault, Opened, Openings, operators_place
from toolforge_gateway.operators import OperatorsPort
from toolforge_gateway.prepared import Prepared, prepare
from toolforge_gateway.process import Process
from toolforge_gateway.tls.watch import Watched
from toolforge_gateway.transport.choice import Transports

log = Logger()


class CannotListen(GatewayError):
    """A port of the configuration is not to be had."""


def make_service(
    configuration: Configuration,
    reactor: Any,
    transports: Transports | None = None,
    sockets: Sockets | None = None,
    operations: bool = True,
) -> GatewayService:
    """The gateway, ready to be started.

    :param transports: puts TLS under connections; by default the faster way that the reactor
        allows.
    :param sockets: those that are open already.
    :param operations: whether the operations port is ours to serve.
    :raise ConfigurationError: with all complaints.
    """
    process = Process.of(reactor, transports)
    prepared = prepare(configuration, reactor, process=process)
    sink = open_sink(configuration.access_log, configuration.file, reactor)
    access_log = AccessLog(sink, process.transports.after)
    observer = Several(access_log, *process.overview.observers)
    return GatewayService(prepared, observer, access_log, sockets, operations)


class Change:
    """A configuration that is ready to be put in force, at once and as a whole.

    Made by `GatewayService.prepare`; then exactly one of `commit` and `abandon` ends it.
    """

    def __init__(self, configuration: Configuration, commit: Callable[[], None], abandon: Any):
        self.configuration = configuration
        self.commit = commit
        """Serve by it from now on."""
        self.abandon: Callable[[], None] = abandon
        """Leave everything as it is, and close what was opened for it."""


class GatewayService(Service):
    """Listens while it runs; stopping lets what runs come to its end.

    :param prepared: what the first configuration describes.
    :param observer: told of each exchange.
    :param access_log: the one of the observers that writes it.
    :param sockets: those that are open already.
    :param operations: whether the operations port is ours to serve.
    """

    name = "toolforge-gateway"

    def __init__(
        self,
        prepared: Prepared,
        observer: IObserver,
        access_log: AccessLog | None = None,
        sockets: Sockets | None = None,
        operations: bool = True,
    ):
        self.process = prepared.process
        self._prepared = prepared
        self._observer = observer
        self._access_log = access_log
        self._reactor = prepared.process.reactor
        self._sockets = sockets or Sockets(self._reactor)
        self._serves_operations = operations
        self._doors: dict[Place, Door] = {}
        self._leaving: list[Door] = []
        self._left: Deferred[None] | None = None
        self._openings = Openings(self._sockets, self._reactor)
        self._operations = OperatorsPort(self._sockets, self.process)
        self._in_force = False

    @property
    def prepared(self) -> Prepared:
        """What is in force."""
        return self._prepared

    def privilegedStartService(self) -> None:
        """Open the ports; twistd calls this before it drops privileges.

        :raise CannotListen: which endpoint, and why.
        """
        try:
            opened = self._open(self._prepared.configuration)
        except ConfigurationError as error:
            sentences = [f"{each.what}; {each.remedy}" for each in error.complaints]
            raise CannotListen("\n".join(sentences)) from None
        self._put_in_force(self._prepared, opened)

    def startService(self) -> None:
        """See `IService`."""
        if not self._in_force:
            self.privilegedStartService()
        access_log = self._access_log
        self.process.overview.start(
            self._now_open,
            lambda: self.process.leaving,
            self.process.rotation,
            lambda: 0 if access_log is None else access_log.lost,
        )
        super().startService()

    def prepare(self, configuration: Configuration) -> Change:
        """Build all that another configuration describes, and open the sockets that it needs;
        what runs is not touched.

        :raise ConfigurationError: with all complaints.
        """
        prepared = prepare(configuration, self._reactor, process=self.process)
        complaints: list[Complaint] = []
        sink: Sink | None = None
        opened: tuple[Opened, ...] = ()
        try:
            if configuration.access_log != self._prepared.configuration.access_log:
                sink = open_sink(configuration.access_log, configuration.file, self._reactor)
        except ConfigurationError as error:
            complaints += error.complaints
        try:
            opened = self._open(configuration)
        except ConfigurationError as error:
            complaints += error.complaints

        def commit() -> None:
            if sink is not None and self._access_log is not None:
                self._access_log.take(sink)
            self._put_in_force(prepared, opened)

        def abandon() -> None:
            if sink is not None:
                sink.close()
            self._openings.close(opened)
            for pool in prepared.pools:
                pool.close()

        if complaints:
            abandon()
            raise ConfigurationError(by_line(complaints))
        return Change(configuration, commit, abandon)

    def stopService(self) -> Deferred[None]:
        """Tell load balancers to ask others, for `timeouts.lame_duck`; then stop listening, and
        let what runs finish within `timeouts.drain`.

        :return: fires when nothing is left.
        """
        super().stopService()
        self.process.leaving = True
        lame: Deferred[None] = Deferred()
        seconds = self._prepared.configuration.timeouts.lame_duck
        if seconds:
            log.info("the end has begun: load balancers are told for {n:g} s", n=seconds)
            self._reactor.callLater(seconds, lame.callback, None)
        else:
            lame.callback(None)
        return lame.addCallback(lambda _: self._drain())

    def reopen_logs(self) -> None:
        """Open the access log anew under its name: somebody has moved it away."""
        if self._access_log is not None:
            self._access_log.reopen()

    @property
    def log_lines_lost(self) -> int:
        """Lines of the access log that could not be written, since the process began."""
        return 0 if self._access_log is None else self._access_log.lost

    def hand_over(self) -> Deferred[None]:
        """The same where others serve already on the same sockets: nobody has to be told, and
        `/healthz` stays as it is.

        :return: fires when nothing is left.
        """
        super().stopService()
        return self._drain()

    def addresses(self) -> tuple[Any, ...]:
        """Where the listeners are, in the order of the configuration; tells
        the port where the configuration said 0."""
        listen = self._prepared.configuration.listen
        wanted = places(listener.endpoint for listener in listen)
        return tuple(self._doors[place].address() for place in wanted if place in self._doors)

    def operations_address(self) -> Any:
        """Where the operations port is; None when there is none."""
        return self._operations.address()

    # Taking up a configuration.

    def _open(self, configuration: Configuration) -> tuple[Opened, ...]:
        """Open what is not open yet.

        :raise ConfigurationError: with all that cannot be had; nothing new is open then.
        """
        listen = configuration.listen
        wanted: list[tuple[Place, Listener | Operations]] = list(
            zip(places(each.endpoint for each in listen), listen, strict=True)
        )
        operations = self._operations_of(configuration)
        if operations is not None:
            wanted.append((operators_place(operations), operations))
        return self._openings.open(wanted, self._in_use)

    def _operations_of(self, configuration: Configuration) -> Operations | None:
        return configuration.operations if self._serves_operations else None

    def _in_use(self, place: Place, listener: Listener | Operations) -> Fault | bool:
        """Whether somebody listens there already, or what stands in the way of going on."""
        door = self._doors.get(place)
        if door is None:
            return place in self._operations
        if (
            place not in self._sockets
            and isinstance(listener, Listener)
            and not door.can_adopt(listener)
        ):
            return (
                "cannot begin or cease to expect the PROXY protocol while it is open",
                "restart the gateway, or use an endpoint of the kind tcp",
            )
        return True

    def _put_in_force(self, prepared: Prepared, opened: tuple[Opened, ...]) -> None:
        former, self._prepared = self._prepared, prepared
        configuration, process = prepared.configuration, self.process
        prepared.put_in_force()
        process.connections.limit = self._room(configuration.limits.connections)
        shared = prepared.shared(self._observer)
        accepting = {each.place: each for each in opened}
        kept: dict[Place, Door] = {}
        broken: list[Exception] = []
        wanted = places(listener.endpoint for listener in configuration.listen)
        for place, (listener, side) in zip(wanted, prepared.listeners, strict=True):
            door = self._doors.pop(place, None)
            if door is None:
                new = accepting.get(place, Opened(place))
                door = Door(
                    place,
                    self._sockets,
                    process.transports,
                    process.connections,
                    self._reactor,
                    new.front,
                    new.port,
                )
            kept[place] = door
            try:
                door.adopt(shared, listener, side)
            except Exception as error:
                # No descriptor is left for its port, say.  All others go by the new rules all the
                # same, and it by those of the next reload.
                log.failure("{place} could not be opened", place=place.endpoint)
                broken.append(error)
        gone, self._doors = self._doors, kept
        for door in (*gone.values(), *self._leaving):
            if door.server is not None:
                door.server.adopt_rules(shared)
        for door in gone.values():
            self._leaving.append(door)
            door.close().addCallback(lambda _, door=door: self._leaving.remove(door))
        try:
            self._operations.adopt(self._operations_of(configuration), accepting)
        except Exception as error:
            log.failure("the operations port could not be opened")
            broken.append(error)
        if self._in_force:
            prepared.api_document.take_over(former.api_document)
            former.api_document.stop()
            known = {pool.name: pool for pool in former.pools}
            for pool in prepared.pools:
                if pool.name in known:
                    pool.inherit(known[pool.name])
            for pool in former.pools:
                pool.close()
        self._in_force = True
        self._watch_files()
        prepared.api_document.start()
        for pool in prepared.pools:
            pool.start()
        for warning in configuration.warnings:
            log.warn("{complaint}", complaint=warning)
        if broken:
            raise broken[0]

    def _watch_files(self) -> None:
        """Have files taken up that are replaced, and those told whom it concerns."""
        prepared = self._prepared
        watched = [
            Watched(listener.endpoint, side, door.server.examine_again)
            for (listener, side), door in zip(prepared.listeners, self._doors.values(), strict=True)
            if door.server is not None
        ]
        if prepared.loaded.upstream is not None:

            def drop_kept() -> None:
                for pool in prepared.pools:
                    pool.refresh()

            watched.append(Watched("", prepared.loaded.upstream, drop_kept))
        self.process.rotation.adopt(watched)

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

    # The end.

    def _drain(self) -> Deferred[None]:
        doors, self._doors = list(self._doors.values()), {}
        self._leaving += doors
        over = [door.close() for door in doors]
        over += [door.gone() for door in self._leaving if door not in doors]
        over.append(self._nobody_left())
        over.append(self._prepared.api_document.stop())
        drain = self._prepared.configuration.timeouts.drain
        log.info(
            "nobody is let in any more; requests under way: {requests}, with {drain:g} s to end",
            requests=self.process.running.open,
            drain=drain,
        )
        patience = self._reactor.callLater(drain, self._give_up)
        return DeferredList(over).addCallback(self._stopped, patience)

    def _nobody_left(self) -> Deferred[None]:
        """Fires when no connection is left, or none is waited for any more.

        A door does not know of those whose PROXY header has not come yet.
        """
        left = self._left = Deferred()
        connections = self.process.connections
        before = connections.tell

        def tell(open: int) -> None:
            before(open)
            if not open and not left.called:
                left.callback(None)

        connections.tell = tell
        if not connections.open:
            left.callback(None)
        return left

    def _give_up(self) -> None:
        if self._left is not None and not self._left.called:
            self._left.callback(None)
        if self.process.running.open:
            requests = self.process.running.open
            log.warn("timeouts.drain is over; requests that are cut off: {n}", n=requests)
        for door in self._leaving:
            door.give_up()

    def _stopped(self, _: object, patience: Any) -> Any:
        if patience.active():
            patience.cancel()
        self.process.overview.stop()
        self.process.rotation.stop()
        for pool in self._prepared.pools:
            pool.close()
        access_log, self._access_log = self._access_log, None
        if access_log is not None:
            access_log.close()
        stopped = self._operations.close()
        self._sockets.close_all()
        return stopped.addCallback(lambda _: None)

    def _now_open(self) -> dict[str, int]:
        """What is open just now, for those who look at the status."""
        servers = [
            door.server
            for door in (*self._doors.values(), *self._leaving)
            if door.server is not None
        ]
        return {
            "connections": sum(len(server.connections) for server in servers),
            "connections_limit": self.process.connections.limit,
            "connections_refused": self.process.connections.turned_away.count,
            "connections_refused_per_address": self.process.addresses.turned_away.count,
            **{
                f"handshakes_failed_{cause}": count
                for cause, count in self.process.handshakes.counts.items()
            },
            "requests_under_way": self.process.running.open,
            "requests_under_way_limit": self.process.running.limit,
            "streams": sum(server.streams() for server in servers),
        }

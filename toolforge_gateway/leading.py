"""How the gateway is led while it runs: its control socket, and what is asked over it.  Layer 5."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from time import gmtime, strftime
from typing import Any, Protocol

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from toolforge_gateway._version import __version__
from toolforge_gateway.config.options import by_line
from toolforge_gateway.config.values import Configuration, Control
from toolforge_gateway.control.commands import Impossible, Report
from toolforge_gateway.control.serve import ControlPort, IControlled
from toolforge_gateway.errors import Complaint, ConfigurationError
from toolforge_gateway.explain import Question, explain
from toolforge_gateway.reload import Change, Outcome, Prepare, Reloader
from toolforge_gateway.service import CannotListen, GatewayService


def cannot_listen(control: Control, error: OSError) -> Complaint:
    """The complaint about a control socket that cannot be made."""
    return control.origin.complaint(
        f"cannot listen on {control.socket}: {error.strerror or error}",
        "stop what has it, or choose another path that the gateway's user may write to",
    )


class Led(Protocol):
    """What is led: one process, or a supervisor of several."""

    @property
    def restarting(self) -> Prepare | None:
        """Prepares new processes for a configuration; None where there are none to be had."""
        ...

    def prepare(self, configuration: Configuration) -> Change | Deferred[Change]:
        """See `reload.Reloadable`."""
        ...

    def explain(self, question: dict[str, Any]) -> Any:
        """What would become of a request; see `control.serve.IControlled`."""
        ...

    def workers(self) -> tuple[str, ...]:
        """How each worker is, a line for a person."""
        ...


class OneProcess:
    """A gateway that serves by itself."""

    restarting = None

    def __init__(self, gateway: GatewayService):
        self._gateway = gateway

    def prepare(self, configuration: Configuration) -> Change:
        """See `Led`.

        :raise ConfigurationError: with all complaints.
        """
        if configuration.workers is not None:
            complaint = configuration.workers.origin.complaint(
                "has come, and one process by itself cannot become a supervisor",
                "restart the gateway",
            )
            raise ConfigurationError([complaint])
        return self._gateway.prepare(configuration)

    def explain(self, question: dict[str, Any]) -> Deferred[dict[str, Any]]:
        """See `Led`."""
        prepared = self._gateway.prepared
        asked = explain(prepared.configuration, prepared.loaded, Question.heard(question))
        return asked.addCallback(lambda explanation: explanation.said())

    def workers(self) -> tuple[str, ...]:
        """See `Led`."""
        return ()


class ControlService(Service):
    """Has a control socket where the configuration in force wants one.

    It stands between the reloader and what is reloaded: another path is taken up with the rest of
    a configuration, or not at all.

    :param file: the configuration.
    :param configuration: the one in force.
    :param reactor: IReactorFDSet, IReactorSocket and IReactorTime.

    :ivar reloader: reads the file again.
    """

    name = "control"

    def __init__(self, file: Path, configuration: Configuration, led: Led, reactor: Any):
        self._configuration = configuration
        self._led = led
        self._reactor = reactor
        self._port: ControlPort | None = None
        self.reloader = Reloader(file, self, configuration.version, reactor)
        self._controlled = Controlled(led, self, self.reloader, configuration, reactor)

    def startService(self) -> None:
        """See `IService`.

        :raise CannotListen: the socket cannot be made.
        """
        try:
            self._port = self._open(self._configuration)
        except ConfigurationError as error:
            raise CannotListen(str(error)) from None
        super().startService()
        if self._port is not None:
            self._port.start()

    def stopService(self) -> None:
        """See `IService`; an answer that is under way is still given."""
        super().stopService()
        self.reloader.close()
        port, self._port = self._port, None
        if port is not None:
            port.stop()

    def prepare(self, configuration: Configuration) -> Deferred[Change]:
        """See `reload.Reloadable`."""
        return ensureDeferred(self._prepare(configuration, self._led.prepare))

    def prepare_restart(self, configuration: Configuration) -> Deferred[Change]:
        """The same with new processes."""
        assert self._led.restarting is not None, "there are such"
        return ensureDeferred(self._prepare(configuration, self._led.restarting))

    async def _prepare(self, configuration: Configuration, prepare: Prepare) -> Change:
        complaints: list[Complaint] = []
        port: ControlPort | None = None
        change: Any = None
        moves = _path(configuration) != (None if self._port is None else self._port.path)
        # Somebody has removed the file: it is made anew.
        moves = moves or (self._port is not None and not self._port.stands)
        if moves:
            try:
                port = self._open(configuration)
            except ConfigurationError as error:
                complaints.extend(error.complaints)
        try:
            change = await maybeDeferred(prepare, configuration)
        except ConfigurationError as error:
            complaints = list(by_line([*complaints, *error.complaints]))
        except BaseException:
            if port is not None:
                port.stop()
            raise
        if complaints or change is None:
            if change is not None:
                change.abandon()
            if port is not None:
                port.stop()
            raise ConfigurationError(complaints)
        return _Moving(change, self._move if moves else lambda to: None, port)

    def _open(self, configuration: Configuration) -> ControlPort | None:
        """:raise ConfigurationError: it cannot be made."""
        if configuration.control is None:
            return None
        path = configuration.control.socket
        try:
            return ControlPort(path, self._controlled, self._reactor)
        except OSError as error:
            raise ConfigurationError([cannot_listen(configuration.control, error)]) from None

    def _move(self, to: ControlPort | None) -> None:
        former, self._port = self._port, to
        if to is not None:
            to.start()
        if former is not None:
            former.stop()


@attrs.frozen
class _Moving:
    """A change, and where the socket is by it."""

    _change: Change
    _move: Callable[[ControlPort | None], None]
    _port: ControlPort | None

    def commit(self) -> Any:
        """See `reload.Change`."""
        self._move(self._port)
        return self._change.commit()

    def abandon(self) -> Any:
        """See `reload.Change`."""
        if self._port is not None:
            self._port.stop()
        return self._change.abandon()


@implementer(IControlled)
class Controlled:
    """What is asked over the control socket, handed on.

    :param control: prepares a restart.
    """

    def __init__(
        self,
        led: Led,
        control: ControlService,
        reloader: Reloader,
        configuration: Configuration,
        clock: IReactorTime,
    ):
        self._led = led
        self._control = control
        self._reloader = reloader
        self._file = configuration.file
        self._began = clock.seconds()

    def reload(self) -> Deferred[Report]:
        """See `IControlled`."""
        return self._reloader.reload().addCallback(self._report)

    def restart(self) -> Deferred[Report]:
        """See `IControlled`.

        :raise Impossible: there is one process by itself.
        """
        if self._led.restarting is None:
            raise Impossible(
                "one process by itself cannot hand over to another one: set workers: 1, or more, "
                "and restart the service this once"
            )
        restarted = self._reloader.restart(self._control.prepare_restart)
        return restarted.addCallback(self._report)

    def explain(self, question: Any) -> Any:
        """See `IControlled`."""
        return self._led.explain(question)

    def state(self) -> dict[str, Any]:
        """See `IControlled`."""
        last = self._reloader.last
        outcome = "none since the start"
        if last is not None:
            outcome = f"{'good' if last.good else 'bad'}, at {_date(last.at)}"
        return {
            "pid": os.getpid(),
            "version": __version__,
            "started": _date(self._began),
            "file": str(self._file),
            "in force": f"configuration {self._reloader.version}",
            "last reload": [outcome, *(last.complaints if last is not None else ())],
            "workers": list(self._led.workers()) or "none: one process by itself",
        }

    def _report(self, outcome: Outcome) -> Report:
        return Report(outcome.good, outcome.version, outcome.complaints, self._led.workers())


def _path(configuration: Configuration) -> Path | None:
    return None if configuration.control is None else configuration.control.socket


def _date(seconds: float) -> str:
    return strftime("%Y-%m-%d %H:%M:%S UTC", gmtime(seconds))

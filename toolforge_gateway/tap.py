"""`twistd toolforge-gateway`: from a command line to the running service."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import attrs
from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger
from twisted.python import usage

from toolforge_gateway import config, lookup, service
from toolforge_gateway._version import __version__
from toolforge_gateway.config.values import Configuration
from toolforge_gateway.errors import ConfigurationError
from toolforge_gateway.leading import ControlService, Led, OneProcess
from toolforge_gateway.process import look_for_garbage_seldom
from toolforge_gateway.systemd import News, Notifier
from toolforge_gateway.workers.made import make_supervisor

log = Logger()

USAGE_OR_CONFIGURATION = 2
"""Exit code when there is nothing to run; no version of twistd has one of its own for that."""


class Options(usage.Options):
    """What may follow `twistd toolforge-gateway`."""

    synopsis = "[twistd options] toolforge-gateway --config FILE"
    longdesc = "The gateway in the foreground: twistd -n toolforge-gateway --config FILE"
    optParameters = [["config", "c", None, "The configuration file (YAML). Required."]]

    def parseOptions(self, options: list[str] | None = None) -> None:
        """Parse, and end the process at a mistake.

        Older versions of twistd print the mistake and exit 0, newer ones exit 1.
        """
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            _give_up(f"twistd toolforge-gateway: {error}")

    def postOptions(self) -> None:
        """Nothing works without a configuration."""
        if self["config"] is None:
            raise usage.UsageError("say which configuration: --config FILE")

    def opt_version(self) -> NoReturn:
        """Print the version of the gateway and exit."""
        print(f"toolforge-gateway {__version__}")
        sys.exit(0)


def makeService(options: Options) -> IService:
    """Build the gateway; twistd starts it, and stops it at SIGTERM or SIGINT.

    This runs before twistd leaves the terminal, so complaints are seen there even when it is to
    run in the background.

    :raise SystemExit: with exit code 2, the configuration is not good; each complaint has been
        printed on a line of its own.
    """
    from twisted.internet import reactor  # here, so that `twistd --reactor` can choose one

    file = Path(options["config"]).absolute()  # twistd changes to another folder
    try:
        configuration = config.load(file)
        made = _Made.by(configuration, reactor)
    except ConfigurationError as error:
        _give_up("\n".join(map(str, error.complaints)))
    control = ControlService(file, configuration, made.led, reactor)
    made.shows.follow(control.reloader)
    reactor.callWhenRunning(reactor.callLater, 0, _stop_well, reactor)
    reactor.callWhenRunning(_on, signal.SIGHUP, reactor, control.reloader.reload)
    reactor.callWhenRunning(_reopen_logs_on_sigusr1, reactor, made.reopen_logs)
    reactor.callWhenRunning(made.ready.addCallback, _say_what_serves, configuration.version)
    look_for_garbage_seldom()
    lookup.install(reactor)
    started = _Started()
    control.setServiceParent(started)
    made.service.setServiceParent(started)
    notifier = Notifier.from_environment(os.environ, reactor)
    news = News(notifier, reactor, configuration.version, made.end_within, made.ready)
    control.reloader.tell(news.reloading, news.reloaded)
    news.setServiceParent(started)
    return started


@attrs.frozen
class _Made:
    """One process, or a supervisor of several."""

    service: IService
    led: Led
    shows: Any
    """Who tells what becomes of reloads."""
    reopen_logs: Callable[[], object]
    configuration: Callable[[], Configuration]
    """What is in force."""
    ready: Deferred[None]
    """Fires when it serves."""

    def end_within(self) -> float:
        """The seconds that stopping may take."""
        timeouts = self.configuration().timeouts
        return timeouts.lame_duck + timeouts.drain

    @classmethod
    def by(cls, configuration: Configuration, reactor: Any) -> _Made:
        """What a configuration wants.

        :raise ConfigurationError: with all complaints.
        """
        if configuration.workers is None:
            gateway = service.make_service(configuration, reactor)
            return cls(
                gateway,
                OneProcess(gateway),
                gateway.process.overview,
                gateway.reopen_logs,
                lambda: gateway.prepared.configuration,
                succeed(None),
            )
        supervisor, records = make_supervisor(configuration, reactor)
        return cls(
            supervisor,
            supervisor,
            records,
            supervisor.reopen_logs,
            lambda: supervisor.configuration,
            supervisor.ready,
        )


class _Started(MultiService):
    """Has twistd say in one line why the gateway cannot listen, and exit 1."""

    def privilegedStartService(self) -> None:
        """See `IService`."""
        with _in_one_line():
            super().privilegedStartService()

    def startService(self) -> None:
        """See `IService`."""
        with _in_one_line():
            super().startService()


def _say_what_serves(_: None, version: str) -> None:
    """In the words in which it is said after a reload, so that one search finds both."""
    log.info("started: configuration {version} is in force", version=version)


@contextmanager
def _in_one_line() -> Iterator[None]:
    try:
        yield
    except service.CannotListen:
        # Where a port is taken, a traceback helps nobody.  Exiting here would leave a
        # twistd that is to run in the background waiting for itself.
        sys.tracebacklimit = 0
        raise


def _on(number: int, reactor: Any, call: Callable[[], object]) -> None:
    """Call in the reactor's turn whenever a signal comes."""
    signal.signal(number, lambda number, frame: reactor.callFromThread(call))


def _reopen_logs_on_sigusr1(reactor: Any, reopen: Callable[[], object]) -> None:
    """Have SIGUSR1 reopen the access log, and do what it did before: twistd begins a new file for
    its own log (--logfile) then.  Called once that is installed."""
    before = signal.getsignal(signal.SIGUSR1)

    def handle(number: int, frame: Any) -> None:
        reactor.callFromThread(reopen)
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGUSR1, handle)


def _stop_well(reactor: Any) -> None:
    """Make SIGTERM and SIGINT, which is Ctrl-C, an ordinary end, exit code 0.

    The reactor's own handlers stop it as well, but have twistd then kill itself with the signal, so
    that a supervisor would take each stop for a failure; and a second one is a traceback.  Called
    once those handlers are installed.
    """
    for number in _ends():
        signal.signal(
            number, lambda number, frame: reactor.callFromThread(_stop_once, reactor, number)
        )


def _stop_once(reactor: Any, number: int) -> None:
    log.info(
        "{signal}: the gateway comes to its end; another one ends it at once",
        signal=signal.Signals(number).name,
    )
    # Whoever asks again while the gateway drains means it.
    for number in _ends():
        signal.signal(number, signal.SIG_DFL)
    with suppress(ReactorNotRunning):
        reactor.stop()


def _ends() -> Iterator[signal.Signals]:
    """The signals that end us; a shell may have had its background jobs ignore one."""
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:
            yield number


def _give_up(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(USAGE_OR_CONFIGURATION)

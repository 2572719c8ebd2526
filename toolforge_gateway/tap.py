"""`twistd toolforge-gateway`: from a command line to the running service."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from twisted.application.service import IService, MultiService
from twisted.python import usage

from toolforge_gateway import config, lookup, service
from toolforge_gateway._version import __version__
from toolforge_gateway.errors import ConfigurationError
from toolforge_gateway.leading import ControlService, OneProcess
from toolforge_gateway.systemd import News, Notifier

USAGE_OR_CONFIGURATION = 2
"""Exit code when there is nothing to run; no version of twistd has one of its own for that."""
NEW_OBJECTS = 20_000
"""How many more objects there may be than at the last time before Python looks for garbage."""


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
    """Build the gateway; twistd starts it, and stops it at SIGTERM.

    This runs before twistd leaves the terminal, so complaints are seen there even when it is to
    run in the background.

    :raise SystemExit: with exit code 2, the configuration is not good; each complaint has been
        printed on a line of its own.
    """
    from twisted.internet import reactor  # here, so that `twistd --reactor` can choose one

    file = Path(options["config"]).absolute()  # twistd changes to another folder
    try:
        configuration = config.load(file)
        gateway = service.make_service(configuration, reactor)
    except ConfigurationError as error:
        _give_up("\n".join(map(str, error.complaints)))
    control = ControlService(file, configuration, OneProcess(gateway), reactor)
    gateway.process.overview.follow(control.reloader)
    reactor.callWhenRunning(reactor.callLater, 0, _stop_well_on_sigterm, reactor)
    reactor.callWhenRunning(_on, signal.SIGHUP, reactor, control.reloader.reload)
    reactor.callWhenRunning(_reopen_logs_on_sigusr1, reactor, gateway.reopen_logs)
    look_for_garbage_seldom()
    lookup.install(reactor)
    started = _Started()
    control.setServiceParent(started)
    gateway.setServiceParent(started)
    notifier = Notifier.from_environment(os.environ, reactor)
    news = News(notifier, reactor, configuration.version, lambda: _end_of(gateway))
    control.reloader.tell(news.reloading, news.reloaded)
    news.setServiceParent(started)
    return started


def _end_of(gateway: service.GatewayService) -> float:
    """The seconds that stopping may take."""
    timeouts = gateway.prepared.configuration.timeouts
    return timeouts.lame_duck + timeouts.drain


def look_for_garbage_seldom() -> None:
    """Tell Python's cyclic garbage collector about this program.

    What belongs to a request refers to each other in one direction only, and is gone with it; a
    dozen requests at once already have Python look through all of it again and again, for nothing.
    """
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)


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


def _stop_well_on_sigterm(reactor: Any) -> None:
    """Make SIGTERM an ordinary end, exit code 0.

    The reactor's own handler stops it as well, but has twistd then kill itself with the signal, so
    that a supervisor would take each stop for a failure.  Called once that handler is installed.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: reactor.callFromThread(_stop_once, reactor))


def _stop_once(reactor: Any) -> None:
    # Whoever asks again while the gateway drains means it.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    reactor.stop()


def _give_up(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(USAGE_OR_CONFIGURATION)

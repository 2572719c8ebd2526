"""`toolforge-gateway demo`: the gateway of `etc/gateway.yaml` on sample backends."""

from __future__ import annotations

import argparse
import re
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs
from OpenSSL import crypto
from twisted.application.service import IService
from twisted.internet import task
from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.threads import deferToThread

from toolforge_gateway import config
from toolforge_gateway.config.backend import Backend
from toolforge_gateway.config.values import AccessLog, Configuration
from toolforge_gateway.demo.backends import SAMPLES, listen
from toolforge_gateway.demo.sample import SampleAPI
from toolforge_gateway.demo.steps import STEPS, Runner
from toolforge_gateway.errors import ConfigurationError, GatewayError
from toolforge_gateway.testing.pki import DEMO_MARK, write_demo

HOST = "localhost"
"""Where the demonstration is called; its server certificate has the name."""
_TCP = re.compile(r"tcp6?:(?:port=)?(?P<port>[0-9]+)(?::interface=(?P<interface>[^:]+))?\Z")


class CannotStart(Exception):
    """The demonstration cannot start; says what to do."""


def run(argv: Sequence[str]) -> int:
    """Parse the command line and do what it says.

    :return: the exit code: 0 fine, 1 failed, 2 usage or configuration.
    """
    options = _parser().parse_args(argv)
    tls = options.config.parent / "tls"
    try:
        if options.prepare:
            write_demo(tls)
            print(f"Wrote throw-away keys and certificates to {tls}")
            return 0
        if not _usable(tls):
            write_demo(tls)
        configuration = config.load(options.config)
        _refuse_busy_ports(configuration, gateway=not options.backends)
        port = 0 if options.backends else _gateway_port(configuration)
    except ConfigurationError as error:
        print(*error.complaints, sep="\n", file=sys.stderr)
        return 2
    except (CannotStart, FileExistsError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    if options.check:
        # The outcome of each step is what is wanted on the terminal.
        configuration = attrs.evolve(configuration, access_log=AccessLog(file=Path("/dev/null")))
    try:
        if options.backends:
            task.react(_serve_backends, (configuration, tls))
        else:
            task.react(_serve, (configuration, Runner(HOST, port, tls), options.check))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="toolforge-gateway demo",
        description="Runs the gateway on sample backends and prints curl lines to try on it.",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--prepare",
        action="store_true",
        help="only write the throw-away keys and certificates that the configuration names",
    )
    what.add_argument(
        "--backends",
        action="store_true",
        help="only the sample backends, for a gateway that runs by itself",
    )
    what.add_argument(
        "--check", action="store_true", help="try the lines, say what came of it, and end"
    )
    parser.add_argument(
        "--config",
        type=Path,
        default=Path("etc/gateway.yaml"),
        metavar="FILE",
        help="the configuration; its keys and certificates are in the folder tls beside it "
        "(default: %(default)s)",
    )
    return parser


@inlineCallbacks
def _serve(reactor, configuration: Configuration, runner: Runner, check: bool):
    """Run everything, until Ctrl-C or until the steps have been tried.

    :raise SystemExit: 1, a step failed or a port is in use.
    """
    # Only here: it brings proxy, auth and TLS, which `--prepare` can do without.
    from toolforge_gateway.service import make_service

    try:
        service: IService = make_service(configuration, reactor)
        yield _start_backends(reactor, configuration, runner.tls)
        service.privilegedStartService()
        yield maybeDeferred(service.startService)
    except ConfigurationError as error:
        print(*error.complaints, sep="\n", file=sys.stderr)
        raise SystemExit(2) from None
    except (CannotListenError, GatewayError) as error:
        print(f"demo: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    if check:
        failed = yield _check(runner)
        raise SystemExit(1 if failed else 0)
    _print_lines(runner)
    yield Deferred()  # react ends it at Ctrl-C


def _serve_backends(reactor, configuration: Configuration, tls: Path) -> Deferred[None]:
    """Run the sample backends alone, until the process is told to end."""
    _start_backends(reactor, configuration, tls)
    served = [backend for backend, _ in _samples(configuration)]
    urls = ", ".join(f"{each.path} at {each.url.authority}" for each in served)
    said = f"Sample backends listen: {urls}"
    reactor.callWhenRunning(reactor.callLater, 0, print, said)
    reactor.callWhenRunning(reactor.callLater, 0, sys.stdout.flush)
    return Deferred()  # react ends it at Ctrl-C


def _start_backends(reactor, configuration: Configuration, tls: Path) -> None:
    for backend, sample in _samples(configuration):
        listen(reactor, sample(reactor), tls, backend.url.port)


def _samples(configuration: Configuration) -> list[tuple[Backend, type[SampleAPI]]]:
    """The backends that have a sample; all others are somebody's own, and run by themselves."""
    named = [(each, SAMPLES.get(each.path.strip("/"))) for each in configuration.backends]
    return [(backend, sample) for backend, sample in named if sample is not None]


@inlineCallbacks
def _check(runner: Runner):
    """Try each step and say what came of it; fires with how many failed."""
    failed = 0
    print(f"Trying {len(STEPS)} requests by {'curl' if runner.curl else 'Python'}:")
    for step in STEPS:
        try:
            problem = step.problem((yield deferToThread(runner.run, step)))
        except Exception as error:
            problem = f"no answer: {error}"
        failed += problem is not None
        print(f"  {'FAILED' if problem else 'ok    '} {step.title}")
        if problem:
            print(f"         {problem}\n         {runner.line(step)}")
    print(f"{len(STEPS) - failed} passed, {failed} failed")
    return failed


def _print_lines(runner: Runner) -> None:
    print(
        f"The gateway listens on https://{runner.host}:{runner.port}, five sample backends are\n"
        "behind it. Each of these lines works as it stands, from another terminal in this\n"
        "folder; the requests then show up below. Ctrl-C ends it.\n"
    )
    for step in STEPS:
        print(f"# {step.title}\n{runner.line(step)}\n")
    sys.stdout.flush()


def _usable(tls: Path) -> bool:
    """Whether there is a throw-away PKI in the folder, still in date."""
    if not (tls / DEMO_MARK).exists():
        return False
    try:
        pem = (tls / "server.crt").read_bytes()
        return not crypto.load_certificate(crypto.FILETYPE_PEM, pem).has_expired()
    except (OSError, crypto.Error):
        return False


def _gateway_port(configuration: Configuration) -> int:
    """The port to print and to try.

    :raise CannotStart: the first listener is no TCP port.
    """
    endpoint = configuration.listen[0].endpoint
    found = _TCP.match(endpoint)
    if found is None:
        raise CannotStart(f"cannot try the endpoint {endpoint}; make the first one tcp:PORT")
    return int(found["port"])


def _refuse_busy_ports(configuration: Configuration, gateway: bool = True) -> None:
    """:param gateway: whether the gateway listens as well, and not the backends alone.
    :raise CannotStart: somebody else listens where we want to.
    """
    wanted = [("127.0.0.1", backend.url.port) for backend, _ in _samples(configuration)]
    endpoints = [listener.endpoint for listener in configuration.listen] if gateway else []
    if gateway and configuration.operations is not None:
        endpoints.append(configuration.operations.endpoint)
    for endpoint in endpoints:
        found = _TCP.match(endpoint)
        if found is not None:
            wanted.append((found["interface"] or "", int(found["port"])))
    busy = [port for interface, port in wanted if _is_busy(interface, port)]
    if busy:
        ports = ", ".join(map(str, busy))
        raise CannotStart(
            f"in use already: port {ports}; end what listens there (another demo? Ctrl-C ends "
            f"it), or write other ports into {configuration.file}"
        )


def _is_busy(interface: str, port: int) -> bool:
    """Whether the port cannot be bound; any other trouble is left to show itself."""
    family = socket.AF_INET6 if ":" in interface else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((interface, port))
        except OSError:
            return True
    return False

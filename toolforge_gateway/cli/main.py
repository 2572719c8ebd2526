"""The console script `toolforge-gateway`.

Exit codes: 0 fine; 1 failed, `explain` says that the request would be refused, `openapi` that
an API is left out, or the gateway was asked to `reload` or `restart` and is as it was; 2 used
wrongly, a configuration that is not good, or no gateway to ask.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from toolforge_gateway._version import __version__
from toolforge_gateway.errors import ConfigurationError

FINE, FAILED, UNUSABLE = 0, 1, 2
PATIENCE = 120.0
"""Seconds for a gateway to answer: a restart waits for processes to begin."""
INTERRUPTED = 130
"""What a shell says of a program that Ctrl-C ended."""

T = TypeVar("T")


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(
        prog="toolforge-gateway",
        description="Looks after a gateway; `twistd toolforge-gateway` runs it.",
    )
    top.add_argument("--version", action="version", version=f"toolforge-gateway {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    check = commands.add_parser("check", help="say all that is wrong with a configuration")
    _add_config(check)

    explain = commands.add_parser(
        "explain", help="say who a caller would be, and why a request would be allowed or not"
    )
    _add_where(explain)
    explain.add_argument(
        "--live",
        action="store_true",
        help="ask the gateway that runs, of what it has in force, and not of what the file says",
    )
    explain.add_argument(
        "--certificate", "-C", type=Path, metavar="FILE", help="the client certificate (PEM)"
    )
    explain.add_argument(
        "--address", type=ip_address, metavar="IP", help="the client's address", default=None
    )
    explain.add_argument(
        "--header",
        "-H",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="a header of the request, for authenticators that look at headers; may be repeated",
    )
    explain.add_argument("method", metavar="METHOD", help="such as GET")
    explain.add_argument("path", metavar="PATH", help="such as /jobs/v1/tool/mytool/jobs")

    openapi = commands.add_parser(
        "openapi",
        help="print the document of all APIs, or say what is wrong with the backends' documents",
    )
    _add_config(openapi, required=False)
    openapi.add_argument(
        "--part",
        action="append",
        type=_part,
        default=[],
        metavar="API=FILE",
        help="take a file for an API's document; without --config, look at such files alone; "
        "may be repeated",
    )
    shape = openapi.add_mutually_exclusive_group()
    shape.add_argument(
        "--check", action="store_true", help="print what was found, by API, and not the document"
    )
    shape.add_argument("--yaml", action="store_true", help="print YAML")

    for name, text in (
        ("reload", "have the gateway read its configuration, and all that it names, again"),
        ("restart", "have new processes take over from those that serve (needs the key workers)"),
        ("state", "say what the gateway that runs has in force"),
    ):
        led = commands.add_parser(name, help=text)
        _add_where(led)
        led.add_argument(
            "--wait",
            type=_seconds,
            default=PATIENCE,
            metavar="SECONDS",
            help="how long to wait for the answer, %(default)s by default",
        )

    commands.add_parser("demo", help="run a gateway with sample backends", add_help=False)
    return top


def main(argv: Sequence[str]) -> int:
    """Do what the command line says.

    :param argv: without the program's name.
    :return: the exit code.
    """
    try:
        if argv and argv[0] == "demo":  # it reads its own options
            from toolforge_gateway import demo

            return demo.main(argv[1:])
        options = parser().parse_args(argv)
        if options.command == "check":
            return _check(options)
        if options.command == "openapi":
            return _openapi(options)
        if options.command == "explain":
            return _explain(options)
        return _lead(options)
    except ConfigurationError as error:
        for complaint in error.complaints:
            print(complaint, file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        return INTERRUPTED


def _check(options: argparse.Namespace) -> int:
    from twisted.internet import reactor

    from toolforge_gateway.cli.check import check

    return check(options.config, reactor)


def _explain(options: argparse.Namespace) -> int:
    from twisted.internet import reactor

    from toolforge_gateway import config, parts
    from toolforge_gateway.cli import lead
    from toolforge_gateway.cli.certificate import Unreadable, read_certificates
    from toolforge_gateway.explain import Question, explain

    try:
        given = options.certificate
        question = Question(
            method=options.method,
            target=options.path,
            certificates=read_certificates(given) if given is not None else (),
            address=options.address,
            headers=tuple(options.header),
        )
    except Unreadable as error:
        print(f"toolforge-gateway explain: {error}", file=sys.stderr)
        return UNUSABLE
    if options.live:
        return _lead(options, question)
    if options.config is None:
        print("toolforge-gateway explain: --socket goes with --live", file=sys.stderr)
        return UNUSABLE
    configuration = config.load(options.config)
    loaded = parts.load(configuration, reactor)
    explanation = _result(reactor, explain(configuration, loaded, question))
    return lead.show_explanation(explanation)


def _lead(options: argparse.Namespace, question: Any = None) -> int:
    from twisted.internet import reactor

    from toolforge_gateway import config
    from toolforge_gateway.cli import lead
    from toolforge_gateway.control.ask import Unanswered, Unasked

    socket = options.socket or config.load_control(options.config).socket
    patience = getattr(options, "wait", PATIENCE)
    try:
        return _result(reactor, lead.LED[options.command](reactor, socket, patience, question))
    except Unasked as error:
        print(f"toolforge-gateway {options.command}: {error}", file=sys.stderr)
        return UNUSABLE
    except Unanswered as error:
        print(f"toolforge-gateway {options.command}: {error}", file=sys.stderr)
        return FAILED


def _openapi(options: argparse.Namespace) -> int:
    from twisted.internet import reactor

    from toolforge_gateway.cli.openapi import Question, Unusable, look

    question = Question(options.config, tuple(options.part))
    try:
        outcome = _result(reactor, look(question, reactor))
    except Unusable as error:
        print(f"toolforge-gateway openapi: {error}", file=sys.stderr)
        return UNUSABLE
    if options.check:
        print(*outcome.report(), sep="\n")
    else:
        for complaint in outcome.complaints():
            print(complaint, file=sys.stderr)
        print(outcome.document(options.yaml), end="")
    return FINE if outcome.whole else FAILED


def _result(reactor: Any, waiting: Deferred[T]) -> T:
    """What a Deferred fires with; the reactor runs only if it has not fired yet."""
    outcome: list[T | Failure] = []
    waiting.addBoth(outcome.append)
    if not outcome:
        waiting.addBoth(lambda _: reactor.stop())
        reactor.run()
    [result] = outcome
    if isinstance(result, Failure):
        result.raiseException()
    return result


def run() -> None:
    """The entry point."""
    sys.exit(main(sys.argv[1:]))


def _add_config(command: argparse.ArgumentParser, required: bool = True) -> None:
    command.add_argument(
        "--config",
        "-c",
        type=Path,
        required=required,
        metavar="FILE",
        help="the configuration (YAML)",
    )


def _add_where(command: argparse.ArgumentParser) -> None:
    where = command.add_mutually_exclusive_group(required=True)
    where.add_argument("--config", "-c", type=Path, metavar="FILE", help="the configuration (YAML)")
    where.add_argument(
        "--socket", "-s", type=Path, metavar="PATH", help="the gateway's control socket"
    )


def _seconds(text: str) -> float:
    """The argument of --wait."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds up to a day")
    return seconds


def _part(text: str) -> tuple[str, Path]:
    """The argument of --part."""
    api, sign, file = text.partition("=")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,39}", api) or not sign or not file:
        raise argparse.ArgumentTypeError(f"{text!r} is not API=FILE, as in jobs=openapi.json")
    return api, Path(file)

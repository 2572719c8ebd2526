"""The command line: a run of its own, or a part of one for a gateway that runs elsewhere."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from zeroloss.backend import Backend, Witness
from zeroloss.judge import Ledger
from zeroloss.line import Target
from zeroloss.load import Load, caller

OTHERS = """\
parts for a gateway that runs elsewhere (each has --help):
  ./run zeroloss backend    the backend that the load needs behind the gateway
  ./run zeroloss load       the load and its judge: what is lost, for so many seconds
"""


def main(argv: Sequence[str]) -> int:
    """Do what the command line says.

    :return: the exit code: 0 nothing lost, 1 something was, or is not as it must be.
    """
    parts = {"load": _load, "backend": _backend}
    if argv and argv[0] in parts:
        return parts[argv[0]](argv[1:])
    return _run(argv)


def _run(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="./run zeroloss",
        description="Changes a gateway under load, and counts the requests that this loses.",
        epilog=OTHERS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--workers", type=int, default=2, metavar="N", help="0: no supervisor; default: 2"
    )
    parser.add_argument("--reloads", type=int, default=100, metavar="N", help="default: 100")
    parser.add_argument("--rotations", type=int, default=40, metavar="N", help="default: 40")
    parser.add_argument("--restarts", type=int, default=25, metavar="N", help="default: 25")
    parser.add_argument("--seed", type=int, help="repeat the lots of an earlier run")
    parser.add_argument("--folder", type=Path, help="keep all files in this folder, an empty one")
    parser.add_argument("--report", type=Path, help="write a report to this file (JSON)")
    options = parser.parse_args(argv)
    # Here, since the other parts are to work without the gateway's own libraries.
    from zeroloss.play import Plan, complaints, play

    seed = options.seed if options.seed is not None else random.randrange(1 << 32)
    plan = Plan(
        options.workers or None,
        options.reloads,
        options.rotations,
        options.restarts if options.workers else 0,
    )
    with tempfile.TemporaryDirectory(prefix="zeroloss-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            report = asyncio.run(play(folder.resolve(), plan, seed, _say))
        except RuntimeError as error:
            _say(f"NOT RIGHT: {error}")
            return 1
    return _conclude(report, complaints(report), options.report)


def _load(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="./run zeroloss load",
        description="Puts load on a gateway for some seconds, or until SIGTERM or Ctrl-C. Behind "
        "the path of the URL has to be what `./run zeroloss backend` runs.",
    )
    parser.add_argument("url", help="https://HOST:PORT/PATH of the backend")
    parser.add_argument("--ca", required=True, help="who vouches for the gateway (PEM)")
    parser.add_argument("--certificate", required=True, help="a tool's certificate (PEM)")
    parser.add_argument("--key", required=True, help="its key (PEM)")
    parser.add_argument("--tool", default="tf-test", help="whose paths; default: tf-test")
    parser.add_argument("--server-name", metavar="NAME", help="default: the host of the URL")
    parser.add_argument("--seconds", type=float, default=30, metavar="S", help="default: 30")
    parser.add_argument(
        "--stream", type=float, default=3, metavar="S", help="longest stream; default: 3"
    )
    parser.add_argument(
        "--times", type=int, default=1, metavar="N", help="so many times the 23 clients; default: 1"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=Path, help="write a report to this file (JSON)")
    options = parser.parse_args(argv)
    url = urlsplit(options.url)
    if url.scheme != "https" or not url.hostname:
        parser.error(f"{options.url!r} is not https://HOST:PORT/PATH")
    try:
        context = caller(options.ca, options.certificate, options.key)
    except OSError as error:  # ssl.SSLError is one
        parser.error(f"--ca, --certificate or --key: {error}")
    target = Target(
        host=url.hostname,
        port=url.port or 443,
        context=context,
        prefix=url.path.rstrip("/"),
        tool=options.tool,
        server_name=options.server_name or url.hostname,
    )
    report = asyncio.run(_loaded(target, options))
    return _conclude(report, [f"LOST: {loss}" for loss in report["losses"]], options.report)


async def _loaded(target: Target, options: argparse.Namespace) -> dict[str, Any]:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # of peers that went away
    start = time.monotonic()
    ledger = Ledger(start)
    load = Load(ledger, options.seed, options.stream)
    load.begin("load", target, options.times)
    over = _told_to_end()
    _say(f"{options.seconds:g} s of load on {target.host}:{target.port}{target.prefix}")
    try:
        await asyncio.wait_for(over.wait(), options.seconds)
    except TimeoutError:
        pass
    await load.end()
    return {**ledger.report(), "seconds": round(time.monotonic() - start, 1)}


def _backend(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="./run zeroloss backend",
        description="Answers the load's requests until SIGTERM or Ctrl-C; its callers must be "
        "CN=api-gateway of the authority in the folder.",
    )
    parser.add_argument(
        "tls", type=Path, help="folder with backend.crt, backend.key and backend-ca.crt"
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="default: any; it is printed")
    options = parser.parse_args(argv)
    witness = Witness()

    async def serve(backend: Backend) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        print(await backend.listen(options.host, options.port), flush=True)
        await _told_to_end().wait()
        backend.close()

    try:
        asyncio.run(serve(Backend(options.tls, witness)))
    except OSError as error:
        parser.error(f"{options.tls}, or port {options.port}: {error}")
    for fault in witness.faults:
        _say(f"NOT RIGHT: {fault}")
    return 1 if witness.faults else 0


def _told_to_end() -> asyncio.Event:
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    return over


def _conclude(report: dict[str, Any], found: Sequence[str], file: Path | None) -> int:
    if file is not None:
        file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for kind, number in sorted(report["right"].items()):
        slowest = report["slowest_seconds"][kind]
        again = report["resent"].get(kind, 0)
        _say(f"{number:7} {kind}: {again} of them sent again, the slowest took {slowest:.2f} s")
    _say(
        f"{sum(report['lost'].values())} lost in {report['seconds']:g} s; nobody was answered for "
        f"{report['longest_pause_seconds']:.2f} s at most; {report['closed_idle']} connections "
        "closed while nothing was asked on them"
    )
    for what, number in report.get("made", {}).items():
        _say(f"{number} {what}")
    for each in found:
        _say(f"NOT RIGHT: {each}")
    return 1 if found else 0


def _say(text: str) -> None:
    print(f"zeroloss: {text}", file=sys.stderr, flush=True)

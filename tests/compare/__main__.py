"""Run the tables against all three servers, and print what came of it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import attrs
from twisted.internet import reactor, task
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater

from tests.clients.stage import pki
from tests.compare import servers
from tests.compare.collect import AREAS, Row, rows
from tests.compare.judge import Verdict, judge
from tests.relay.ends import End, connect
from tests.strict.table import answers, status

QUIET = 0.7
"""Seconds without a byte after which a server is taken to wait for more."""
GRACE = 0.03
"""Seconds that a server has, after its last expected answer, to do more."""


@attrs.frozen
class Result:
    """What one server made of one row."""

    row: Row
    verdict: Verdict
    why: str


async def run(server: servers.Server, row: Row) -> Result:
    """Send one case and judge it."""
    case = row.case
    server.recorder.arrived = []
    client: End = await connect(pki(), server.port, case.certificate)
    client.send(case.sent)
    heads_only = case.sent.startswith(b"HEAD ")
    wanted = len(case.statuses)
    size, since = -1, reactor.seconds()
    complete = False
    while client.lost is None:
        if len(client.received) != size:
            size, since = len(client.received), reactor.seconds()
            complete = len(final(client.received, heads_only)) >= wanted
        if reactor.seconds() - since > (GRACE if complete else QUIET):
            break
        if complete and case.goes_on:
            break
        await deferLater(reactor, 0.001)
    received = client.received
    if client.lost is None:
        client.transport.abortConnection()
    arrived = list(server.recorder.arrived)
    return Result(row, *judge(row.area, case, final(received, heads_only), arrived))


def final(received: bytes, heads_only: bool) -> list[int]:
    """Status of each whole final answer."""
    try:
        return [code for code in map(status, answers(received, heads_only)) if code >= 200]
    except (ValueError, IndexError, AssertionError):
        return []


async def compare(options: argparse.Namespace) -> int:
    """Run everything, one server after another."""
    table = [row for row in rows() if options.rows in row.name]
    results: dict[str, list[Result]] = {}
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        for kind in (servers.Gateway, servers.Nginx, servers.HAProxy):
            server = kind(Path(folder))
            await server.start()
            try:
                results[kind.name] = [await run(server, row) for row in table]
            finally:
                await server.stop()
    print(summary(results))
    if options.differences:
        options.differences.write_text(differences(results))
    return 0 if all(each.verdict is Verdict.PASSED for each in results["gateway"]) else 1


def summary(results: dict[str, list[Result]]) -> str:
    """A Markdown table: area by server, and what went wrong how often."""
    lines = ["| area | cases |" + "".join(f" {name} |" for name in results)]
    lines.append("|---|---:|" + "---:|" * len(results))
    for area in (*AREAS, "all"):
        cells = []
        count = 0
        for each in results.values():
            part = [one for one in each if area in (one.row.area, "all")]
            verdicts = Counter(one.verdict for one in part)
            count = len(part)
            cells.append(
                f"{verdicts[Verdict.PASSED]} ({verdicts[Verdict.LET_THROUGH]}, "
                f"{verdicts[Verdict.SPOILT]})"
            )
        lines.append(f"| {area} | {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def differences(results: dict[str, list[Result]]) -> str:
    """Every row that did not pass, by server."""
    return "".join(
        f"{name}\t{one.verdict.value}\t{one.row.name}\t{one.why}\n"
        for name, each in results.items()
        for one in each
        if one.verdict is not Verdict.PASSED
    )


def main(argv: Sequence[str]) -> None:
    """Do what the command line says; exits with 1 unless the gateway passes everything."""
    parser = argparse.ArgumentParser(prog="python -m tests.compare", description=__doc__)
    parser.add_argument("--differences", type=Path, help="write each row that did not pass here")
    parser.add_argument("--rows", default="", help="only rows whose name has this in it")
    options = parser.parse_args(argv)
    missing = servers.missing()
    if missing:
        sys.exit(f"compare: as root, apt-get install {' '.join(missing)}")
    outcome: list[int] = []

    async def everything() -> None:
        outcome.append(await compare(options))

    task.react(lambda _: ensureDeferred(everything()).addCallback(lambda _: sys.exit(outcome[0])))


main(sys.argv[1:])

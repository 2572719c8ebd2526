"""The command line: how long, from which seed; then the report."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from soak.backends.broken import Cutting, Endless, Garbage, Resetting, Surplus
from soak.backends.good import GoodBackend
from soak.backends.server import Server
from soak.clients import broken, good, hostile, slow
from soak.clients.field import Field
from soak.gateway import Gateway, configuration
from soak.judge import WARM_UP, Ending, Judge, Memory, complaints
from toolforge_gateway.testing.pki import write_demo
from toolforge_gateway.testing.ports import free_port

NEEDED = (
    *("small", "one call", "upload", "download", "log stream", "pipeline"),
    *("slowloris", "slow post", "half open", "idle", "slow reader"),
    *("cutting backend", "garbage backend", "resetting backend", "endless backend"),
    *("nobody backend", "surplus backend", "leaver", "early leaver", "garbage"),
    *("smuggling", "bad chunks", "trespass", "impostor"),
)
"""What every soak of a minute or more must have seen go right."""

COUNTS = {good.keep_alive: 5, good.one_call: 3, good.log_stream: 4, slow.half_open: 6}
"""How many clients of a kind there are at once; of the others two."""


def main(argv: Sequence[str]) -> int:
    """Run the soak.

    :return: the exit code: 0 passed, 1 not.
    """
    parser = argparse.ArgumentParser(
        prog="./run soak",
        description="Mixed good, slow, broken and hostile traffic through a real gateway, on "
        "this machine's loopback interface alone.",
    )
    parser.add_argument("--minutes", type=float, default=10, metavar="N", help="default: 10")
    parser.add_argument("--seed", type=int, help="repeat the lots of an earlier run")
    parser.add_argument("--folder", type=Path, help="keep configuration and logs in this folder")
    options = parser.parse_args(argv)
    seed = options.seed if options.seed is not None else random.randrange(1 << 32)
    with tempfile.TemporaryDirectory(prefix="gateway-soak-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        return asyncio.run(_soak(folder.resolve(), options.minutes * 60, seed))


async def _soak(folder: Path, seconds: float, seed: int) -> int:
    _say(f"{seconds / 60:g} minutes, seed {seed}, in {folder}")
    asyncio.get_running_loop().set_exception_handler(_ignore_lost_peers)
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # Else it warns of lost peers too.
    judge = Judge()
    tls = write_demo(folder / "tls", backends=["soak"]).directory
    servers, ports = await _backends(tls, judge, seed)
    gateway = Gateway(folder, free_port())
    await gateway.start(configuration(gateway.port, ports))
    watching = asyncio.create_task(gateway.watch())
    try:
        contexts: dict[str | None, ssl.SSLContext] = {}

        def field(name: object) -> Field:
            return Field(gateway.port, tls, judge, random.Random(f"{seed} {name}"), contexts)

        await good.one_call(field("first"))
        before = await _settled(gateway, servers, gateway.descriptors())
        until = time.monotonic() + seconds
        kinds = (*good.KINDS, *slow.KINDS, *broken.KINDS, *hostile.KINDS)
        await asyncio.gather(
            _progress(gateway, judge, until),
            *(
                _repeat(kind, field(f"{kind.__name__} {number}"), until)
                for kind in kinds
                for number in range(COUNTS.get(kind, 2))
            ),
        )
        after = await _settled(gateway, servers, before)
    finally:
        watching.cancel()
        code = await gateway.stop()
        memory_file = "".join(f"{moment:.0f} {size}\n" for moment, size in gateway.samples)
        (folder / "memory.txt").write_text(memory_file)
        for server in servers:
            server.close()
    samples = [each for each in gateway.samples if each[0] <= seconds]
    memory = Memory.of(samples) if seconds >= 2 * WARM_UP else None
    with (folder / "access.log").open() as access_log:
        lines = (line.rstrip("\n") for line in access_log)
        ending = Ending(memory, before, after, code, gateway.log(), lines)
        found = complaints(judge, ending, NEEDED)
    _report(judge, ending, found, seed)
    return 1 if found else 0


async def _backends(tls: Path, judge: Judge, seed: int) -> tuple[list[Server], dict[str, int]]:
    def rng(name: str) -> random.Random:
        return random.Random(f"{seed} backend {name}")

    servers: dict[str, Server] = {
        "good": GoodBackend(tls, judge, rng("good")),
        "slow": GoodBackend(tls, judge, rng("slow"), pause=0.3),
        "cutting": Cutting(tls, judge, rng("cutting")),
        "garbage": Garbage(tls, judge, rng("garbage")),
        "resetting": Resetting(tls, judge, rng("resetting")),
        "endless": Endless(tls, judge, rng("endless")),
        "surplus": Surplus(tls, judge, rng("surplus")),
    }
    ports = {name: await server.listen() for name, server in servers.items()}
    return list(servers.values()), {**ports, "nobody": free_port()}


async def _repeat(kind, field: Field, until: float) -> None:
    """One client, again and again; only what it reports counts, but nothing may surprise it."""
    name = kind.__name__.replace("_", " ")
    is_good = kind in good.KINDS
    while time.monotonic() < until:
        try:
            await kind(field)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, TimeoutError) as error:
            if is_good or kind is hostile.impostor:
                field.judge.fault(name, repr(error))
            await asyncio.sleep(0.05)
        except ExceptionGroup as error:
            field.judge.fault(name, repr(error.exceptions))
        # The others must not use up this machine, or every good request would look slow.
        await asyncio.sleep(field.rng.random() * (0.2 if is_good else 0.5))


async def _settled(gateway: Gateway, servers: list[Server], aim: int) -> int:
    """Descriptors of the gateway without those of its kept upstream connections, once they are
    no more than `aim`, or after a while."""
    for _ in range(100):
        found = gateway.descriptors() - sum(server.connections for server in servers)
        if found <= aim:
            break
        await asyncio.sleep(0.1)
    return found


async def _progress(gateway: Gateway, judge: Judge, until: float) -> None:
    while (left := until - time.monotonic()) > 0:
        await asyncio.sleep(min(30, left))
        if not gateway.alive():
            judge.fault("gateway", "it has ended")
            return
        _say(
            f"{max(0, until - time.monotonic()):.0f} s left: {sum(judge.right.values())} right, "
            f"{sum(judge.wrong.values())} wrong, {gateway.resident() / 1e6:.1f} MB, "
            f"{gateway.descriptors()} descriptors"
        )


def _report(judge: Judge, ending: Ending, found: list[str], seed: int) -> None:
    for kind, count in sorted(judge.right.items()):
        _say(f"{count:8} {kind}")
    _say(f"{judge.arrived:8} requests at the backends")
    if judge.seconds:
        times = sorted(judge.seconds)
        _say(
            f"small requests took {statistics.median(times) * 1000:.1f} ms in the middle, "
            f"{times[int(len(times) * 0.99)] * 1000:.1f} ms at 99 %, {times[-1] * 1000:.0f} ms most"
        )
    memory = ending.memory
    if memory is None:
        _say(f"memory is not judged in less than {2 * WARM_UP / 60:g} minutes")
    else:
        _say(
            f"memory {memory.warm / 1e6:.1f} MB after {WARM_UP:g} s, "
            f"{memory.end / 1e6:.1f} MB at the end"
        )
    _say(f"descriptors {ending.descriptors_before} before, {ending.descriptors_after} after")
    for each in found:
        _say(f"NOT RIGHT: {each}")
    _say("passed" if not found else f"not passed: {len(found)} complaints; seed {seed}")


def _ignore_lost_peers(loop: asyncio.AbstractEventLoop, context: dict) -> None:
    """Broken ends are what this is about; asyncio would tell of each."""
    expected = (OSError, ssl.SSLError, asyncio.IncompleteReadError)
    if not isinstance(context.get("exception"), expected):
        loop.default_exception_handler(context)


def _say(text: str) -> None:
    print(f"soak: {text}", file=sys.stderr, flush=True)

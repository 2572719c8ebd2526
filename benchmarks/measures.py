"""What is measured: each measure puts one kind of load on one peer and says what came of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.load.client import Load, Report, Running
from benchmarks.peers import Peer
from benchmarks.peers.gateway import Gateway
from benchmarks.processes import CannotRun, cpu_seconds, raise_limit
from benchmarks.stage import BIG, FOLLOW, SMALL, UPLOAD, Stage

Figures = dict[str, float]
"""Names with their unit, such as `cpu_us`, and values."""
TLS = "TLSv1.3"
"""What every peer speaks on both sides; other versions cost something else."""
DESCRIPTORS_EACH = 2.2
"""For a caller, for its backend, and some to spare; `ulimit -Hn` bounds the crowd."""


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    seconds: float = 3.0
    """Of each measurement that has no end of its own."""
    transfers: int = 3
    """Large bodies one after the other, each way."""
    idle: int = 1000
    slow: int = 200
    streams: int = 1000
    crowd: int = 10_000
    big: int = 100_000_000
    """Bytes of a large body."""

    @classmethod
    def quick(cls) -> Sizes:
        """Enough to see that everything works."""
        return cls(seconds=0.3, transfers=1, idle=20, slow=5, streams=20, crowd=50, big=4_000_000)


@dataclass(frozen=True)
class Surroundings:
    """What a measure needs besides the peer."""

    stage: Stage
    load: Load
    sizes: Sizes


@dataclass(frozen=True)
class Measure:
    """One row of the table.

    :ivar key: the figure that peers are compared by; less is better.
    :ivar extra: another figure that the table shows beside it.
    :ivar fresh: the peer is started anew for it, so that what earlier loads left in its memory
        is not counted as free.
    :ivar repeated: in each round; else in the first one only, where more would tell no more.
    :ivar only: the peers that it is for; empty: all.
    """

    name: str
    title: str
    key: str
    unit: str
    run: Callable[[Peer, Surroundings], Figures]
    extra: str | None = None
    fresh: bool = False
    repeated: bool = True
    only: frozenset[str] = field(default_factory=frozenset)


def go(peer: Peer, around: Surroundings, client: Running) -> tuple[Report, Figures]:
    """Let a client that is ready run.

    :return: its report, and what this cost whom.
    :raise CannotRun: an answer was wrong; then the figures would mean nothing.
    """
    proxy, backend = peer.cpu_seconds(), cpu_seconds(around.stage.backend_pids)
    waited = peer.waiting_seconds()
    report = client.go()
    waited = peer.waiting_seconds() - waited
    proxy_seconds = peer.cpu_seconds() - proxy
    backend_seconds = cpu_seconds(around.stage.backend_pids) - backend
    if report.errors or not report.requests:
        raise CannotRun(
            f"{peer.name}: {report.errors} of {report.requests + report.errors} requests failed, "
            f"the first one: {report.error}"
        )
    if not proxy_seconds:
        raise CannotRun(f"{peer.name} has done nothing: somebody else answers on its port")
    if not report.tls.startswith(TLS):
        raise CannotRun(f"{peer.name} speaks {report.tls}, and {TLS} is what is compared here")
    seconds = report.seconds
    return report, {
        "proxy_cpu_seconds": proxy_seconds,
        "proxy_waited": waited / seconds,
        "proxy_busy": proxy_seconds / seconds,
        "client_busy": report.cpu_seconds / seconds,
        "backend_busy": backend_seconds / seconds,
        "client_us": report.cpu_seconds / report.requests * 1e6,
        "cpu_us": proxy_seconds / report.requests * 1e6,
        "per_second": report.requests / seconds,
        "requests": report.requests,
        "p50_us": report.p50_us or 0.0,
        "p99_us": report.p99_us or 0.0,
    }


def polls(peer: Peer, around: Surroundings) -> Figures:
    """Small answers over sixteen connections, the next request at once after each answer."""
    with around.load.client(
        "get", peer.port, f"/jobs{SMALL}", connections=16, seconds=around.sizes.seconds
    ) as client:
        return go(peer, around, client)[1]


def different(peer: Peer, around: Surroundings) -> Figures:
    """The same, but no request is the same as another."""
    with around.load.client(
        "get",
        peer.port,
        f"/jobs{SMALL}?n=00000000",
        connections=16,
        seconds=around.sizes.seconds,
        vary=1,
    ) as client:
        return go(peer, around, client)[1]


def new_connections(caller: str) -> Callable[[Peer, Surroundings], Figures]:
    """A measure of a whole handshake for each small request, eight at a time."""

    def run(peer: Peer, around: Surroundings) -> Figures:
        with around.load.client(
            "connect",
            peer.port,
            f"/jobs{SMALL}",
            caller=caller,
            connections=8,
            seconds=around.sizes.seconds,
        ) as client:
            return go(peer, around, client)[1]

    return run


def transfer(path: str, up: bool) -> Callable[[Peer, Surroundings], Figures]:
    """A measure of large bodies, one after the other on one connection."""

    def run(peer: Peer, around: Surroundings) -> Figures:
        upload = around.stage.big if up else 0
        with around.load.client(
            "transfer",
            peer.port,
            f"/jobs{path}",
            count=around.sizes.transfers,
            upload=upload,
        ) as client:
            report, figures = go(peer, around, client)
        gigabytes = report.bytes / 1e9
        figures["cpu_s_per_gb"] = figures["proxy_cpu_seconds"] / gigabytes
        figures["mb_per_second"] = report.bytes / 1e6 / report.seconds
        return figures

    return run


def calm(peer: Peer, around: Surroundings) -> Figures:
    """Latency at 300 requests a second: what a caller waits for when nothing is full."""
    with around.load.client(
        "rate",
        peer.port,
        f"/jobs{SMALL}",
        connections=16,
        rate=300,
        seconds=around.sizes.seconds,
    ) as client:
        return go(peer, around, client)[1]


def held(mode: str, path: str, number: Callable[[Sizes], int]) -> Callable[..., Figures]:
    """A measure of the memory that connections hold while nothing moves on them."""

    def run(peer: Peer, around: Surroundings) -> Figures:
        connections = min(number(around.sizes), int(raise_limit() / DESCRIPTORS_EACH))
        # One request first: what is loaded with the first use is no connection's.
        with around.load.client("transfer", peer.port, f"/jobs{SMALL}") as client:
            go(peer, around, client)
        before = peer.memory_bytes()
        with around.load.client(mode, peer.port, f"/jobs{path}", connections=connections) as client:
            if client.ready.errors:
                raise CannotRun(f"{peer.name}: {client.ready.error}")
            time.sleep(min(1.0, around.sizes.seconds))  # what was in flight settles
            after = peer.memory_bytes()
            client.go()
        return {
            "kb_each": (after - before) / connections / 1e3,
            "mb_in_all": after / 1e6,
            "connections": connections,
        }

    return run


def streams(peer: Peer, around: Surroundings) -> Figures:
    """Followed logs, a line a second each: how old a line is when it comes."""
    number = around.sizes.streams
    # Each brings a line within any second.
    seconds = max(1.2, around.sizes.seconds)
    with around.load.client(
        "streams", peer.port, f"/logs{FOLLOW}", connections=number, seconds=seconds
    ) as client:
        if client.ready.errors:
            raise CannotRun(f"{peer.name}: {client.ready.error}")
        report, figures = go(peer, around, client)
    expected = number * int(report.seconds)
    if report.requests < expected:
        raise CannotRun(f"{peer.name}: {report.requests} lines came, and {expected} were written")
    figures["line_ms"] = figures["p50_us"] / 1e3
    figures["line_p99_ms"] = figures["p99_us"] / 1e3
    return figures


def two_workers(peer: Peer, around: Surroundings) -> Figures:
    """Polls at a supervisor with two workers and at one with one, in turn; what both cost, all
    processes counted, and how the two share the requests."""
    assert isinstance(peer, Gateway), "nobody else has such workers"
    one, two = peer.of_workers(1), peer.of_workers(2)
    cost: dict[Gateway, list[float]] = {one: [], two: []}
    try:
        for each in cost:
            each.start()
        before = two.served()
        # In turns, so that a noisy moment of the machine does not meet only one of them.
        for each in (one, two, two, one, one, two):
            cost[each].append(polls(each, around)["cpu_us"])
        served = [after - early for after, early in zip(two.served(), before, strict=True)]
    finally:
        for each in cost:
            each.end()
    one_us, two_us = (statistics.median(cost[each]) for each in (one, two))
    return {
        "ratio": two_us / one_us,
        "one_us": one_us,
        "two_us": two_us,
        "least_share": min(served) / sum(served),
    }


MEASURES = (
    Measure("keep-alive", "keep-alive small GET", "cpu_us", "CPU µs", polls, "per_second"),
    Measure("different", "the same, each another", "cpu_us", "CPU µs", different, "per_second"),
    Measure(
        "connect",
        "new connection, ECDSA",
        "cpu_us",
        "CPU µs",
        new_connections("ecdsa"),
        "per_second",
    ),
    Measure(
        "connect-rsa",
        "new connection, RSA-4096",
        "cpu_us",
        "CPU µs",
        new_connections("rsa4096"),
        "per_second",
    ),
    Measure(
        "download",
        "100 MB down",
        "cpu_s_per_gb",
        "CPU s/GB",
        transfer(BIG, up=False),
        "mb_per_second",
    ),
    Measure(
        "upload",
        "100 MB up",
        "cpu_s_per_gb",
        "CPU s/GB",
        transfer(UPLOAD, up=True),
        "mb_per_second",
    ),
    Measure("latency", "p50 at 300/s", "p50_us", "µs", calm, "p99_us"),
    Measure(
        "idle",
        "idle kept connection",
        "kb_each",
        "kB",
        held("idle", SMALL, lambda sizes: sizes.idle),
        "mb_in_all",
        fresh=True,
        repeated=False,
    ),
    Measure(
        "slow",
        "reader that stopped",
        "kb_each",
        "kB",
        held("slow", BIG, lambda sizes: sizes.slow),
        "mb_in_all",
        fresh=True,
        repeated=False,
    ),
    Measure(
        "crowd",
        "crowd of idle connections",
        "mb_in_all",
        "MB",
        held("idle", SMALL, lambda sizes: sizes.crowd),
        "connections",
        fresh=True,
        repeated=False,
        only=frozenset({"nginx", "gateway"}),
    ),
    Measure(
        "workers",
        "two workers",
        "ratio",
        "of one's CPU",
        two_workers,
        "least_share",
        only=frozenset({"gateway", "gateway-debian12"}),
    ),
    Measure(
        "streams", "line of 1,000 streams", "line_ms", "ms", streams, "line_p99_ms", repeated=False
    ),
)
"""In the order of the table."""

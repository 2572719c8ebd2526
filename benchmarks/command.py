"""The command line: which peers, which measures, how long; then everything in turn."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import plot, results, table
from benchmarks.load.client import Load, build
from benchmarks.measures import MEASURES, Measure, Sizes, Surroundings
from benchmarks.peers import PEERS, Peer
from benchmarks.processes import CannotRun, raise_limit
from benchmarks.results import Results
from benchmarks.stage import Stage

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "results"
KEPT = HERE.parent / "docs"
DISTURBED = 0.1
"""The share of other programs from which on figures say more of them than of the proxies."""


def main(argv: Sequence[str]) -> int:
    """Measure.

    :return: the exit code: 0 fine, 1 something could not be measured, 2 used wrongly.
    """
    options = _parser().parse_args(argv)
    raise_limit()
    # So that a run that is told to end still ends what it started, and removes its folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with _folder(options.folder) as folder:
            return _run(options, folder)
    except CannotRun as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run bench",
        description="Measures this gateway beside what it can replace, on this machine's loopback.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="see within a minute whether all of it works"
    )
    parser.add_argument(
        "--rounds", type=_positive, metavar="N", help="default: 3; each figure is their median"
    )
    parser.add_argument(
        "--seconds", type=float, metavar="S", help="of each measurement; default: 3"
    )
    parser.add_argument(
        "--only",
        type=_names([measure.name for measure in MEASURES]),
        metavar="NAME,...",
        help="measures: " + ", ".join(measure.name for measure in MEASURES),
    )
    parser.add_argument(
        "--peers",
        type=_names([peer.name for peer in PEERS]),
        metavar="NAME,...",
        help="the first one is compared with; " + ", ".join(peer.name for peer in PEERS),
    )
    parser.add_argument(
        "--profile", action="store_true", help="instead: where the gateway's microseconds go"
    )
    parser.add_argument(
        "--folder", type=Path, help="an empty folder for configurations and logs, not removed"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=OUTPUT,
        help="the folder for latest.json and latest.svg; default: benchmarks/results",
    )
    parser.add_argument(
        "--keep", action="store_true", help="also replace docs/benchmarks.json and .svg"
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def _names(known: Sequence[str]):
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if strangers := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(
                f"{', '.join(strangers)}: not among {', '.join(known)}"
            )
        return names

    return parse


@contextlib.contextmanager
def _folder(chosen: Path | None) -> Iterator[Path]:
    """The folder for all files of the run, one that is gone afterwards unless it was chosen."""
    if chosen is not None:
        chosen.mkdir(parents=True, exist_ok=True)
        yield chosen.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
        yield Path(name).resolve()


def _run(options: argparse.Namespace, folder: Path) -> int:
    sizes = Sizes.quick() if options.quick else Sizes()
    if options.seconds:
        sizes = Sizes(**{**vars(sizes), "seconds": options.seconds})
    rounds = options.rounds or (1 if options.quick else 3)
    measures = [m for m in MEASURES if not options.only or m.name in options.only]
    stage = Stage(folder, sizes.big)
    client, language = build(folder)
    load = Load(client, stage.load_cpu, stage.pki, folder / "load.log")
    around = Surroundings(stage, load, sizes)
    peers = _peers(stage, options.peers)
    if not peers:
        raise CannotRun("nothing to measure is installed; ./run bench does that")
    try:
        stage.start()
        if options.profile:
            from benchmarks.profile.report import profile

            return profile(around, options.only)
        for peer in peers:
            _say(f"starting {peer.name} on {peer.port}")
            peer.start()
        about = {
            "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "machine": results.machine(),
            "rounds": rounds,
            "sizes": vars(sizes),
            "load_client": language,
            "titles": {peer.name: peer.title for peer in peers},
            "tls": {peer.name: peer.openssl() for peer in peers},
        }
        found = Results(about)
        _measure(found, measures, peers, around, rounds)
    finally:
        for peer in peers:
            peer.end()
        stage.end()
    return _show(found, measures, peers, stage, options)


def _peers(stage: Stage, wanted: Sequence[str] | None) -> list[Peer]:
    """The peers that this machine can run, in the order asked for."""
    order = wanted or [peer.name for peer in PEERS]
    peers: list[Peer] = []
    for kind in sorted(
        (peer for peer in PEERS if peer.name in order), key=lambda peer: order.index(peer.name)
    ):
        try:
            peers.append(kind(stage))
        except LookupError as error:
            _say(f"without {kind.name}: {error}")
    return peers


def _measure(
    found: Results,
    measures: Sequence[Measure],
    peers: Sequence[Peer],
    around: Surroundings,
    rounds: int,
) -> None:
    """All peers take turns within a round, so that a noisy minute of the machine meets all."""
    for number in range(rounds):
        for measure in measures:
            if number and not measure.repeated:
                continue
            for peer in peers:
                if measure.only and peer.name not in measure.only:
                    continue
                _say(f"round {number + 1} of {rounds}: {measure.name}: {peer.name}")
                try:
                    if measure.fresh:
                        peer.end()
                        peer.start()
                    found.add(measure.name, peer.name, measure.run(peer, around))
                except CannotRun as error:
                    _say(str(error))
                    found.failed(measure.name, peer.name, str(error))


def _show(
    found: Results,
    measures: Sequence[Measure],
    peers: Sequence[Peer],
    stage: Stage,
    options: argparse.Namespace,
) -> int:
    names = [peer.name for peer in peers]
    output: Path = options.output
    found.write(output / "latest.json")
    picture = plot.svg(found, measures, names)
    (output / "latest.svg").write_text(picture, encoding="utf-8")
    if options.keep:
        found.write(KEPT / "benchmarks.json")
        (KEPT / "benchmarks.svg").write_text(picture, encoding="utf-8")
    print(table.markdown(table.turned(table.rows(found, measures, names))))
    print(
        f"\nMedians of {found.about['rounds']} rounds; × is the ratio to {peers[0].title}. Load "
        f"client in {found.about['load_client']}; * the load's CPU was full, not the proxy's.\n"
        f"{output / 'latest.json'} has every figure, latest.svg the chart."
    )
    if (share := found.disturbed(names[0])) > DISTURBED:
        print(
            f"Other programs had {peers[0].title}'s CPU for up to {share:.0%} of the time: "
            "measure again when the machine has nothing else to do."
        )
    if stage.load_cpu == stage.proxy_cpu:
        print("There is one CPU only: proxies shared it with the load.")
    for failure in found.failures:
        print(f"NOT MEASURED {failure}")
    return 1 if found.failures else 0


def _say(words: str) -> None:
    print(f"bench: {words}", file=sys.stderr, flush=True)

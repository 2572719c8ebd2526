"""What is changed while the load runs, and how the change is seen to be there."""

from __future__ import annotations

import asyncio
import copy
import os
import random
import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.processes import tree
from soak.gateway import ROOT
from toolforge_gateway.testing.ports import free_port
from zeroloss.judge import Attempt, End
from zeroloss.line import Line, Request, Target, Unreached
from zeroloss.load import Load, caller
from zeroloss.stage import DRAIN, Mount, Plain, Stage

PATIENCE = 20.0
"""Seconds after which a change should be there."""
AT_ONCE = 6
"""New connections that must all see a change: each worker gets some of them."""
SETTLING = 2.5
"""Seconds in which clients of a listener that is gone have gone elsewhere."""
SLOWLY = 1.2
"""Seconds between two files that are written slowly: the gateway may look in between."""
BAD = {"name": "bad", "path": "not a path", "url": "https://127.0.0.1:1"}


class Unseen(Exception):
    """A change was made and does not show, or shows and must not."""


class Changes:
    """Changes one gateway.

    :param load: is there for listeners that come and go.
    :param say: told of each change.
    :ivar made: how many of each kind have been made and seen.
    """

    def __init__(self, stage: Stage, load: Load, rng: random.Random, say: Callable[[str], None]):
        self.made: Counter[str] = Counter()
        self._stage = stage
        self._load = load
        self._rng = rng
        self._say = say
        self._mark = 0
        self._bad = 0
        self._reloads = 0
        self._extra: asyncio.Event | None = None
        self._strangers: dict[int, Target] = {}
        self._before: set[int] = set()

    # Reloads.

    async def reload(self, step: Callable[[dict[str, Any]], str]) -> None:
        """Change the configuration, and see that it is in force everywhere.

        :param step: changes the document, and says what that is called.
        :raise Unseen: it is not.
        """
        document = copy.deepcopy(self._stage.document)
        what = step(document)
        self._mark += 1
        backends = [each for each in document["backends"] if not each["name"].startswith("mark-")]
        name = f"mark-{self._mark}"
        url = next(each["url"] for each in backends if each["name"] == "load")
        document["backends"] = [*backends, {"name": name, "path": f"/{name}", "url": url}]
        self._stage.document = document
        self._stage.write(document)
        code, said = await self._take_up()
        if code not in (None, 0):
            raise Unseen(f"reload of a good configuration: exit code {code}: {said}")
        # Who asks for it is told when it is there; who sends a signal has to wait.
        await self._everywhere(f"reload: {what}", self._is_marked, waits=code is None)
        self.made["reloads"] += 1

    async def refuse(self) -> None:
        """Change the configuration to what is none, and see that nothing changes."""
        document = copy.deepcopy(self._stage.document)
        document["backends"].append(BAD)
        self._stage.write(document)
        self._bad += 1
        code, said = await self._take_up()
        if code is None:
            told = f"there is no complaint about {BAD['path']} in the log"
            log = self._stage.gateway.log
            await self._until(told, lambda: log().count("stays in force") >= self._bad)
            said = log()
        if code == 0 or BAD["path"] not in said or "gateway.yaml:" not in said:
            raise Unseen(f"reload of a bad configuration: exit code {code}: {said}")
        await self._everywhere("a bad configuration leaves things", self._is_marked, waits=False)
        self._stage.write(self._stage.document)
        self.made["refused reloads"] += 1

    def nothing(self, document: dict[str, Any]) -> str:
        """A step: a route more and a route less, as with each reload."""
        return "another route"

    def move_backend(self, document: dict[str, Any]) -> str:
        """A step: the backend is at another address."""
        stage = self._stage
        stage.ports.reverse()
        stage.backends.reverse()
        for backend in document["backends"]:
            backend["url"] = f"https://127.0.0.1:{stage.ports[0]}"
        return "another address of the backend"

    def change_limits(self, document: dict[str, Any]) -> str:
        """A step: other limits and deadlines."""
        document["limits"]["connections"] = self._rng.randint(1000, 2000)
        document["timeouts"]["keep_alive"] = self._rng.randint(30, 60)
        return "other limits"

    async def add_listener(self) -> None:
        """Listen somewhere else too, and have clients there."""
        stage = self._stage
        stage.listeners.append(free_port())
        stage.mounts.append(stage.mounts[0])

        def step(document: dict[str, Any]) -> str:
            document["listen"].append(stage.listener(2))
            return "another listener"

        await self.reload(step)
        self._extra = self._load.begin(f"extra {self._mark}", stage.target(stage.listeners[2]))

    async def remove_listener(self) -> None:
        """Listen there no more, while clients are still connected."""
        stage = self._stage
        assert self._extra is not None, "added before"
        port = stage.listeners.pop()
        stage.mounts.pop()
        self._load.move(self._extra, stage.target(stage.listeners[0]))
        # Who is connecting just now is no client of what is open.
        await asyncio.sleep(1)

        def step(document: dict[str, Any]) -> str:
            del document["listen"][2]
            return "a listener less"

        await self.reload(step)
        attempt, _ = await self._ask(stage.target(port))
        if attempt.end is not End.UNREACHED:
            raise Unseen(f"somebody still listens on {port}")
        # Kept connections are ended by the gateway, not by their clients.
        await asyncio.sleep(SETTLING)
        await self._load.end(self._extra)
        self._extra = None

    # Rotations.

    async def rotate(self, number: int) -> None:
        """Exchange a listener's key pair and authorities, and see that they are served.

        Nobody tells the gateway.
        """
        stage = self._stage
        mount, pair = stage.mounts[number], stage.pair()
        folder = stage.folder / f"stranger-{number}-{time.monotonic_ns()}"
        folder.mkdir()
        files = pair.stranger(folder)
        context = caller(str(stage.demo.directory / "server-ca.crt"), *map(str, files))
        port = stage.listeners[number]
        stranger = Target("127.0.0.1", port, context, "/load")
        pause = self._rng.choice([0.0, 0.0, SLOWLY])
        for _ in mount.write(pair):
            await asyncio.sleep(pause)
        began = time.monotonic()
        way = {Mount: "..data", Plain: "plain"}[type(mount)]

        async def served() -> bool:
            attempt, certificate = await self._ask(stranger)
            der = pair.der
            if attempt.end is End.WRONG:
                raise Unseen(f"rotation: {attempt}")
            return attempt.end is End.RIGHT and certificate == der

        await self._everywhere(f"rotation of listener {number} ({way})", served, waits=True)
        self._say(f"... after {time.monotonic() - began:.1f} s")
        former = self._strangers.get(number)

        async def refused() -> bool:
            return former is None or (await self._ask(former))[0].end is not End.RIGHT

        await self._everywhere("... and the former authority is gone", refused, waits=True)
        self._strangers[number] = stranger
        self.made["rotations"] += 1

    # Generations.

    async def restart(self) -> None:
        """Have new processes serve, while the old ones come to their end."""
        before = self._workers()
        self._before |= before
        code, said = await self._command("restart")
        if code != 0:
            raise Unseen(f"restart: exit code {code}: {said}")
        fresh = self._workers() - before
        if not fresh:
            raise Unseen(f"restart: the workers are still {sorted(before)}: {said}")
        await self._everywhere("restart", self._is_marked, waits=False)
        self._say(f"... workers {sorted(before)}, then {sorted(fresh)}")
        self.made["restarts"] += 1

    async def former_gone(self) -> None:
        """See that the processes of former generations end within their time."""

        def gone() -> bool:
            return not (self._before & self._workers())

        await self._until("former generations live on", gone, DRAIN + PATIENCE)

    def _workers(self) -> set[int]:
        pid = self._stage.gateway.pid
        return set(tree([pid])) - {pid}

    # How.

    async def _take_up(self) -> tuple[int | None, str]:
        """Have the configuration read again: by the signal, each fourth time by the command.

        :return: the command's exit code, None for a signal, and what it said.
        """
        self._reloads += 1
        if self._reloads % 4 != 2:
            os.kill(self._stage.gateway.pid, signal.SIGHUP)
            return None, ""
        return await self._command("reload")

    async def _command(self, name: str) -> tuple[int, str]:
        run = "from toolforge_gateway.cli.main import run; run()"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", run, name),
            *("--config", str(self._stage.folder / "gateway.yaml"), "--wait", str(PATIENCE)),
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode is not None, "it has ended"
        return process.returncode, output.decode(errors="replace")

    async def _is_marked(self) -> bool:
        """Whether the last good configuration is in force, and none before it or after it."""
        port = self._rng.choice(self._stage.listeners)
        attempt, _ = await self._ask(self._stage.target(port, f"/mark-{self._mark}"))
        if attempt.end is not End.RIGHT:
            # A listener may be about to be opened.
            if attempt.end is not End.UNREACHED and not attempt.detail.startswith("404"):
                raise Unseen(f"a route: {attempt}")
            return False
        return True

    async def _ask(self, target: Target) -> tuple[Attempt, bytes]:
        """Ask once, on a new connection.

        :return: what came of it, and the certificate that the gateway showed.
        """
        request = Request("GET", "name", secrets.token_hex(8).encode(), last=True)
        line = Line(target)
        try:
            await line.open()
        except Unreached as error:
            return Attempt("GET", End.UNREACHED, detail=str(error)), b""
        try:
            return await line.ask(request, False), line.certificate
        finally:
            line.close()

    async def _everywhere(
        self, what: str, seen: Callable[[], Awaitable[bool]], waits: bool
    ) -> None:
        """See something on several new connections at once.

        :param waits: whether it may take a while.
        :raise Unseen: it is not there.
        """
        self._say(what)
        deadline = time.monotonic() + PATIENCE
        while not all(await asyncio.gather(*(seen() for _ in range(AT_ONCE)))):
            if not waits or time.monotonic() > deadline:
                raise Unseen(what)
            await asyncio.sleep(0.2)

    async def _until(self, what: str, true: Callable[[], bool], patience: float = PATIENCE) -> None:
        deadline = time.monotonic() + patience
        while not true():
            if time.monotonic() > deadline:
                raise Unseen(what)
            await asyncio.sleep(0.1)

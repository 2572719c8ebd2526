"""The three servers, before one recording backend."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater

from tests.clients import programs
from tests.clients.stage import pki
from tests.compare.judge import Arrived, parse
from tests.relay.ends import Backend, BackendConnection
from tests.relay.stage import Stage
from toolforge_gateway import config
from toolforge_gateway.service import make_service
from toolforge_gateway.testing.ports import free_port

HERE = Path(__file__).resolve().parent
_PATIENCE = 15.0
"""Seconds for a program to start."""
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Recorder:
    """A backend's script: reads requests leniently and answers each."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []

    def __call__(self, connection: BackendConnection) -> None:
        try:
            while (found := parse(connection.received)) is not None:
                request, size = found
                connection.take(size)
                self.arrived.append(request)
                connection.send(_ANSWER)
        except ValueError:
            # A size that is none: what a real backend would do of it is open.
            self.arrived.append(Arrived(b"?", b"", (), connection.received))
            connection.transport.abortConnection()


class Server:
    """One of the servers with a backend of its own; `port` takes clients."""

    name = ""

    def __init__(self, folder: Path):
        self.folder = folder / self.name
        self.folder.mkdir(parents=True)
        self.recorder = Recorder()
        self.backend = Backend(pki())
        self.backend.script = self.recorder
        self.port = free_port()

    async def start(self) -> None:
        """Returns once clients can connect."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Ends the server and its backend."""
        await maybeDeferred(self.backend.port.stopListening)
        for connection in self.backend.connections:
            if connection.lost is None:
                connection.transport.abortConnection()


class Gateway(Server):
    """This gateway, configured as the tests of `tests.strict` do."""

    name = "gateway"

    async def start(self) -> None:
        stage = Stage()
        stage.backend = self.backend
        (self.folder / "tls").symlink_to(pki())
        path = self.folder / "gateway.yaml"
        path.write_text(yaml.safe_dump(stage.document()))
        self._service = make_service(config.load(path), reactor)
        self._service.startService()
        self.port = self._service.addresses()[0].port

    async def stop(self) -> None:
        await maybeDeferred(self._service.stopService)
        await super().stop()


class _Program(Server):
    """A program of the system, by a configuration beside this module."""

    template = ""

    def command(self, path: Path) -> list[str]:
        raise NotImplementedError

    async def start(self) -> None:
        text = (HERE / self.template).read_text()
        path = self.folder / self.template
        path.write_text(
            text.format(folder=self.folder, pki=pki(), port=self.port, backend=self.backend.number)
        )
        authorities = [(pki() / f"{name}.crt").read_bytes() for name in ("k8s-ca", "backend-ca")]
        (self.folder / "client-cas.crt").write_bytes(b"".join(authorities))
        for name in ("server", "gateway-client"):
            parts = [(pki() / f"{name}.{part}").read_bytes() for part in ("crt", "key")]
            (self.folder / f"{name}.pem").write_bytes(b"".join(parts))
        self._running = programs.start(reactor, self.command(path))
        deadline = reactor.seconds() + _PATIENCE
        while not await self._connectable():
            if reactor.seconds() > deadline or self._running.ended.called:
                raise RuntimeError(f"{self.name} does not start: {self._running.said()}")
            await deferLater(reactor, 0.05)

    async def _connectable(self) -> bool:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port)
        try:
            protocol = await connectProtocol(endpoint, Protocol())
        except ConnectionRefusedError:
            return False
        protocol.transport.loseConnection()
        return True

    async def stop(self) -> None:
        ended: Deferred[None] = self._running.end("TERM")
        await ended
        await super().stop()


class Nginx(_Program):
    """nginx; see nginx.conf."""

    name = "nginx"
    template = "nginx.conf"

    def command(self, path: Path) -> list[str]:
        return [programs.program("nginx"), "-p", str(self.folder), "-c", str(path)]


class HAProxy(_Program):
    """HAProxy; see haproxy.cfg."""

    name = "haproxy"
    template = "haproxy.cfg"

    def command(self, path: Path) -> list[str]:
        return [programs.program("haproxy"), "-db", "-f", str(path)]


def missing() -> list[str]:
    """The programs that are not on this machine."""
    found = {
        name: shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin")
        for name in ("nginx", "haproxy")
    }
    return [name for name, path in found.items() if path is None]

"""A gateway process between the load and two backends, with files that change."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives import serialization

from soak.gateway import Gateway, configuration
from toolforge_gateway.testing.pki import SERVER, Authority, Issued, write_demo
from toolforge_gateway.testing.ports import free_port
from zeroloss.backend import Backend, Witness
from zeroloss.line import Target
from zeroloss.load import caller

DRAIN = 20
"""Seconds of `timeouts.drain`; streams are shorter."""
UNHURRIED = ("handshake", "request_head", "request_idle", "connect")
HURRY = 30
"""Seconds of these deadlines: a machine that has other things to do is no loss."""
NAMES = ["localhost", "127.0.0.1"]


class Pair:
    """What one listener's files hold at a time: a server's key pair, and the callers' authorities.

    :param authority: vouches for the server.
    :param known: the authority of the callers that make up the load; it is always accepted.
    """

    def __init__(self, authority: Authority, known: Authority, number: int):
        self.server: Issued = authority.issue(
            [("CN", f"server {number}")], usages=[SERVER], names=NAMES
        )
        self.fresh = Authority(f"fresh authority {number}")
        """An authority that no other one of these has accepted."""
        self.files = {
            "server.crt": self.server.certificate_pem,
            "server.key": self.server.key_pem,
            "clients.crt": known.pem + self.fresh.pem,
        }

    @property
    def der(self) -> bytes:
        """The server's certificate as a handshake shows it."""
        return self.server.certificate.public_bytes(serialization.Encoding.DER)

    def stranger(self, folder: Path) -> tuple[Path, Path]:
        """The files of a caller that only these authorities accept."""
        return self.fresh.issue().write(folder, "stranger")


class Mount:
    """A listener's files, as a Kubernetes secret is mounted: they change all at once, by one
    rename of `..data`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._number = 0
        folder.mkdir()

    def write(self, pair: Pair) -> Iterator[None]:
        """Have other files; at each pause, those before are still in force."""
        self._number += 1
        content = self.folder / f"..{self._number}"
        content.mkdir()
        for name, data in pair.files.items():
            (content / name).write_bytes(data)
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
            yield
        following = self.folder / "..data_tmp"
        following.symlink_to(content.name)
        os.replace(following, self.folder / "..data")
        shutil.rmtree(self.folder / f"..{self._number - 1}", ignore_errors=True)


class Plain:
    """A listener's files, as a person or a cron job replaces them: one after another."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir()

    def write(self, pair: Pair) -> Iterator[None]:
        """Have other files; at each pause, certificate and key do not belong together."""
        for name, data in pair.files.items():
            (self.folder / name).write_bytes(data)
            yield


class Stage:
    """All that a run needs but the load.

    :param folder: empty; everything is written into it.
    :param workers: what the configuration says of them; None: nothing.
    :ivar document: what is in the configuration file.
    """

    def __init__(self, folder: Path, workers: int | None):
        self.folder = folder
        self.demo = write_demo(folder / "tls", backends=["soak"])
        self.witness = Witness()
        self.backends = [Backend(self.demo.directory, self.witness) for _ in range(2)]
        self.ports: list[int] = []
        self.mounts: list[Mount | Plain] = [Mount(folder / "mount"), Plain(folder / "plain")]
        self._pairs = 0
        for mount in self.mounts:
            list(mount.write(self.pair()))
        self.listeners = [free_port() for _ in self.mounts]
        self.operations = free_port()
        self.gateway = Gateway(folder, self.listeners[0])
        self.document: dict[str, Any] = {}
        self._workers = workers
        tls = self.demo.directory
        self.caller = caller(
            str(tls / "server-ca.crt"), str(tls / "tool-tf-test.crt"), str(tls / "tool-tf-test.key")
        )

    async def start(self) -> None:
        """Start the backends and the gateway.

        :raise RuntimeError: the gateway does not start.
        """
        self.ports = [await backend.listen() for backend in self.backends]
        document = configuration(
            self.listeners[0], {"load": self.ports[0], "mark-0": self.ports[0]}
        )
        listen = [self.listener(number) for number in range(len(self.mounts))]
        document |= {
            "listen": listen,
            "operations": {"endpoint": f"tcp:{self.operations}:interface=127.0.0.1"},
            "timeouts": {"drain": DRAIN, **dict.fromkeys(UNHURRIED, HURRY)},
            "control": {"socket": "control"},
        }
        if self._workers is not None:
            document["workers"] = self._workers
        self.document = document
        await self.gateway.start(document)

    async def stop(self) -> int | None:
        """End all; the gateway's exit code, None when it had to be killed."""
        code = await self.gateway.stop()
        for backend in self.backends:
            backend.close()
        return code

    def listener(self, number: int) -> dict[str, Any]:
        """The configuration of a listener on one of the mounts."""
        mount = self.mounts[number].folder.name
        return {
            "endpoint": f"tcp:{self.listeners[number]}:interface=127.0.0.1",
            "tls": {
                "certificate": f"{mount}/server.crt",
                "private_key": f"{mount}/server.key",
                "client_cas": [
                    {
                        "name": "kubernetes",
                        "ca": f"{mount}/clients.crt",
                        "identifies": ["tool", "admin"],
                    },
                    {"name": "backend", "ca": "tls/backend-ca.crt", "identifies": ["service"]},
                ],
            },
        }

    def target(self, port: int, prefix: str = "/load") -> Target:
        """How the load reaches a backend through a listener."""
        return Target("127.0.0.1", port, self.caller, prefix)

    def pair(self) -> Pair:
        """Another server certificate, and other authorities of callers."""
        self._pairs += 1
        return Pair(self.demo.server, self.demo.kubernetes, self._pairs)

    def write(self, document: dict[str, Any]) -> None:
        """Replace the configuration file."""
        following = self.folder / "gateway.yaml.new"
        following.write_text(yaml.safe_dump(document))
        following.replace(self.folder / "gateway.yaml")

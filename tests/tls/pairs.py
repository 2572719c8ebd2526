"""Real handshakes of OpenSSL without a network."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
from OpenSSL import SSL, crypto
from twisted.internet.task import Clock

from toolforge_gateway.config.values import ClientCA, Origin, ServerTLS, SettingFile
from toolforge_gateway.model import Kind
from toolforge_gateway.testing.pki import SERVER, Authority, Issued

ORIGIN = Origin("gateway.yaml", 7, "listen[0].tls")


def clock_at(moment: float | None = None) -> Clock:
    """A clock that shows a POSIX time, and stands there; by default this one."""
    clock = Clock()
    clock.advance(time.time() if moment is None else moment)
    return clock


def fresh_directory() -> Path:
    """An empty directory below the one that trial runs in and clears."""
    return Path(tempfile.mkdtemp(prefix="tls-", dir=Path.cwd()))


def setting(path: Path) -> SettingFile:
    """A file that the configuration names."""
    return SettingFile(path, ORIGIN)


@attrs.frozen
class Files:
    """A listener's files in a directory of their own."""

    directory: Path
    server: Authority
    kubernetes: Authority
    backend: Authority

    @classmethod
    def make(cls) -> Files:
        directory = fresh_directory()
        files = cls(directory, Authority("server"), Authority("kubernetes"), Authority("backend"))
        files.server.issue(
            [("CN", "api")], usages=[SERVER], names=["api.example.org", "127.0.0.1"]
        ).write(directory, "server")
        for name, authority in (("k8s", files.kubernetes), ("backend", files.backend)):
            (directory / f"{name}-ca.crt").write_bytes(authority.pem)
        return files

    def write(self, name: str, data: bytes) -> SettingFile:
        """A file with this content."""
        (self.directory / name).write_bytes(data)
        return setting(self.directory / name)

    def settings(
        self,
        client_certificate: str = "optional",
        crl: SettingFile | None = None,
        kubernetes_ca: str = "k8s-ca.crt",
        backend_ca: str = "backend-ca.crt",
    ) -> ServerTLS:
        """What the configuration says of the listener."""
        return ServerTLS(
            certificate=setting(self.directory / "server.crt"),
            private_key=setting(self.directory / "server.key"),
            client_certificate=client_certificate,  # type: ignore[arg-type]
            client_cas=(
                ClientCA(
                    "kubernetes",
                    setting(self.directory / kubernetes_ca),
                    frozenset({Kind.TOOL, Kind.ADMIN}),
                    crl,
                    ORIGIN,
                ),
                ClientCA(
                    "backend",
                    setting(self.directory / backend_ca),
                    frozenset({Kind.SERVICE}),
                    None,
                    ORIGIN,
                ),
            ),
            origin=ORIGIN,
        )


def client_context(
    issued: Issued | None = None,
    *,
    version: int | None = None,
    ciphers: bytes = b"ALL:@SECLEVEL=0",
    protocols: Sequence[bytes] = (),
) -> SSL.Context:
    """A client that checks nothing and sends whatever it is told to."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_cipher_list(ciphers)
    if version is not None:
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
    if protocols:
        context.set_alpn_protos(list(protocols))
    if issued is not None:
        context.use_certificate(crypto.X509.from_cryptography(issued.certificate))
        context.use_privatekey(crypto.PKey.from_cryptography_key(issued.key))
        for each in issued.chain:
            context.add_extra_chain_cert(crypto.X509.from_cryptography(each))
    return context


def pump(one: SSL.Connection, other: SSL.Connection) -> bool:
    """Carry bytes both ways; whether there were any."""
    moved = False
    for source, target in ((one, other), (other, one)):
        try:
            while True:
                target.bio_write(source.bio_read(65536))
                moved = True
        except SSL.WantReadError:
            pass
    return moved


def step(call: Any) -> bool:
    """One call into OpenSSL; whether it came to an end."""
    try:
        call()
    except SSL.WantReadError:
        return False
    return True


def shake(server: SSL.Connection, client: SSL.Connection) -> None:
    """Run a handshake to the end of both sides.

    :raise SSL.Error: the server's own, else the client's.
    """
    server.set_accept_state()
    client.set_connect_state()
    done = {"client": False, "server": False}
    moved = True
    while moved or not all(done.values()):
        if not done["client"]:
            done["client"] = step(client.do_handshake)
        moved = pump(client, server)
        if not done["server"]:
            try:
                done["server"] = step(server.do_handshake)
            finally:
                pump(client, server)
        else:
            # Alerts and, in TLS 1.3, tickets come after the handshake.
            step(lambda: server.recv(1))
        moved = pump(client, server) or moved
        if done["client"]:
            step(lambda: client.recv(1))
        if not moved and not all(done.values()):
            raise AssertionError("the handshake stands still")


def shaken(creator: Any, context: SSL.Context) -> tuple[SSL.Connection, SSL.Connection]:
    """Both ends after a handshake of a server's creator with a client context."""
    server = creator.serverConnectionForTLS(None)
    client = SSL.Connection(context, None)
    shake(server, client)
    return server, client

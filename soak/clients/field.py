"""Where clients stand: how to reach the gateway, as whom, and whom to tell."""

from __future__ import annotations

import asyncio
import random
import ssl
from pathlib import Path

import attrs

from soak import wire
from soak.judge import TOKEN, Expected, Judge

SLACK = 4.0
"""Seconds that a deadline of the gateway may be late here: the machine is busy."""
PATIENCE = 30.0
"""Seconds after which a good request has failed."""


@attrs.frozen
class Identity:
    """As whom a client calls."""

    certificate: str | None
    """Base name of its files; None: without one."""
    tool: bytes | None
    """None: the tool that the path names, if a user is set."""
    user: bytes | None


TOOL = Identity("tool-tf-test", b"tf-test", b"tf-test")
OTHER = Identity("tool-other", b"other", b"other")
ADMIN = Identity("admin", None, b"root-admin")
SERVICE = Identity("service-components-api", None, b"service:components-api")
NOBODY = Identity(None, None, None)


@attrs.define
class Field:
    """One client's view of the soak."""

    port: int
    tls: Path
    judge: Judge
    rng: random.Random
    contexts: dict[str | None, ssl.SSLContext]
    """Shared by all clients."""

    async def connect(
        self, identity: Identity | None = TOOL
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection; None: one without TLS."""
        if identity is None:
            return await asyncio.open_connection("127.0.0.1", self.port)
        return await asyncio.open_connection(
            "127.0.0.1",
            self.port,
            ssl=self._context(identity.certificate),
            server_hostname="localhost",
            limit=1 << 17,
        )

    def head(
        self,
        identity: Identity,
        method: bytes,
        backend: str,
        rest: str,
        *fields: bytes,
        tool: bytes | None = None,
    ) -> tuple[bytes, bytes]:
        """Announce a request and write its head, without the blank line.

        :param rest: what follows the tool in the path.
        :param tool: whose path; by default the caller's own.
        :return: the token and the head.
        """
        whose = tool or identity.tool or b"tf-test"
        target = b"/v1/tool/%b/%b" % (whose, rest.encode())
        told = identity.tool or (whose if identity.user else None)
        token = self.judge.announce(Expected(method, target, told, identity.user))
        lines = [b"%b /%b%b HTTP/1.1" % (method, backend.encode(), target), b"Host: localhost"]
        lines += [b"%b: %b" % (TOKEN, token), *fields, b""]
        return token, b"\r\n".join(lines)

    def _context(self, certificate: str | None) -> ssl.SSLContext:
        context = self.contexts.get(certificate)
        if context is None:
            context = ssl.create_default_context(cafile=self.tls / "server-ca.crt")
            if certificate is not None:
                files = (self.tls / f"{certificate}.crt", self.tls / f"{certificate}.key")
                context.load_cert_chain(*files)
            self.contexts[certificate] = context
        return context


async def until_closed(reader: asyncio.StreamReader, seconds: float) -> bytes | None:
    """What comes until the gateway ends the connection; None: it does not in this time."""
    received = bytearray()
    try:
        async with asyncio.timeout(seconds):
            while piece := await reader.read(65536):
                received += piece
    except TimeoutError:
        return None
    except (ConnectionError, ssl.SSLError):
        pass
    return bytes(received)


def status_of(received: bytes) -> int | None:
    """The status of the first answer in these bytes."""
    words = received.split(b" ", 2)
    return int(words[1]) if len(words) > 2 and words[1].isdigit() else None


def hang_up(writer: asyncio.StreamWriter, rng: random.Random) -> None:
    """Leave: politely, abruptly, or by a reset."""
    way = rng.randrange(3)
    if way == 0:
        writer.close()
    elif way == 1:
        writer.transport.abort()
    else:
        wire.reset(writer)

"""A backend's port: mutual TLS, one handler for each request."""

from __future__ import annotations

import asyncio
import random
import ssl
from pathlib import Path

from soak import wire
from soak.judge import Judge


class Gone(Exception):
    """The connection is over by the backend's own will."""


class Server:
    """Reads requests and reports them; subclasses answer.

    :ivar connections: how many there are now.
    """

    def __init__(self, tls: Path, judge: Judge, rng: random.Random):
        self.judge = judge
        self.rng = rng
        self.connections = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.maximum_version = ssl.TLSVersion.TLSv1_2
        self._context.load_cert_chain(tls / "backend.crt", tls / "backend.key")
        self._context.load_verify_locations(tls / "backend-ca.crt")
        self._context.verify_mode = ssl.CERT_REQUIRED

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen, on any port by default; on which."""
        self._server = await asyncio.start_server(
            self._serve, host, port, ssl=self._context, limit=wire.HEAD
        )
        return self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """No further connections."""
        self._server.close()

    async def answer(
        self,
        method: bytes,
        target: bytes,
        fields: wire.Fields,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Answer one request; the body has not been read.

        :raise Gone: no more requests on this connection.
        """
        raise NotImplementedError

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            peer = dict(
                pair for rdn in writer.get_extra_info("peercert")["subject"] for pair in rdn
            )
            if peer.get("commonName") != "api-gateway":
                self.judge.fault("stranger", f"{peer} at a backend")
            while True:
                first, fields = await wire.read_head(reader)
                method, target, _ = first.split(b" ")
                self.judge.arrive(method, target, fields)
                await self.answer(method, target, fields, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, Gone):
            pass
        except (ValueError, asyncio.LimitOverrunError) as error:
            self.judge.fault("bad request", f"{error!r} at a backend")
        finally:
            self.connections -= 1
            writer.close()

"""Gateways that lose on purpose are caught, each by what it does."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from soak import wire
from soak.backends.server import Gone
from tests.clients.stage import pki
from zeroloss.backend import Backend, Witness
from zeroloss.clients import KINDS
from zeroloss.judge import Ledger
from zeroloss.line import Target
from zeroloss.load import Load, caller

PATIENCE = 20.0
"""Seconds after which a loser should have been caught."""


class Loser(Backend):
    """Stands where a gateway stands, and answers right but for every tenth request."""

    turn = 0

    async def answer(self, method, target, fields, reader, writer) -> None:
        self.turn += 1
        if self.turn % 10 == 0:
            await self.lose(method, target, fields, reader, writer)
        # Extensions of chunks and trailers never pass a gateway.
        plain = target.replace(b"chunked=1", b"")
        await super().answer(method, plain, fields, reader, writer)

    async def lose(self, method, target, fields, reader, writer) -> None:
        """Do what must not be done."""


class ClosesBeforeAnswer(Loser):
    """Reads a request on a kept connection, and closes instead of answering."""

    async def lose(self, method, target, fields, reader, writer) -> None:
        raise Gone


class ClosesWithoutAWord(Loser):
    """Answers, does not say that this was the last answer, and closes while the next request may be
    on its way; as an impatient end of a process would."""

    async def lose(self, method, target, fields, reader, writer) -> None:
        await super().answer(method, target, fields, reader, writer)
        await writer.drain()
        await asyncio.sleep(0.05)
        wire.reset(writer)
        raise Gone


class Cuts(Loser):
    """Breaks off within a body."""

    async def lose(self, method, target, fields, reader, writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf")
        await writer.drain()
        raise Gone


class Refuses(Loser):
    """Answers by itself that it cannot."""

    async def lose(self, method, target, fields, reader, writer) -> None:
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        raise Gone


class Changes(Loser):
    """Has another body than the backend gave, of the right length."""

    async def _send(self, writer, head, data, empty, chunks) -> None:
        if self.turn % 10 == 0 and data:
            data = bytes([data[0] ^ 1]) + data[1:]
        await super()._send(writer, head, data, empty, chunks)


class ResetsInHandshake(Loser):
    """Takes connections and lets them go."""

    def __init__(self, tls: Path, witness: Witness):
        super().__init__(tls, witness)
        self._context.sni_callback = self._every_tenth

    def _every_tenth(self, connection, name, context):
        self.turn += 1
        return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR if self.turn % 10 == 0 else None


class Absent(Backend):
    """Was there once."""

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> int:
        port = await super().listen(host, port)
        self.close()
        return port


class SaysClose(Loser):
    """Says `close` with every tenth answer, as it must before it closes."""

    async def _send(self, writer, head, data, empty, chunks) -> None:
        last = self.turn % 10 == 0
        head += b"Connection: close\r\n" if last else b""
        await super()._send(writer, head, data, empty, chunks)
        if last:
            await writer.drain()
            raise Gone


class Repeats(Loser):
    """Is right, and has its backend hear a request twice."""

    async def lose(self, method, target, fields, reader, writer) -> None:
        self.judge.arrive(method, target, fields)


class LoserTests(SynchronousTestCase):
    """Load against each, until it is caught."""

    def run_load(
        self, kind: type[Backend], enough: Callable[[Ledger, Witness], object]
    ) -> tuple[Ledger, Witness]:
        """What the judge, and the witness, say of a gateway."""
        tls = pki()
        # The stand-in shows its callers the backend's certificate, and takes them for the gateway.
        files = (tls / "backend-ca.crt", tls / "gateway-client.crt", tls / "gateway-client.key")
        context = caller(*map(str, files))

        async def play() -> tuple[Ledger, Witness]:
            asyncio.get_running_loop().set_exception_handler(lambda *_: None)
            witness, ledger = Witness(), Ledger()
            server = kind(tls, witness)
            port = await server.listen()
            load = Load(ledger, seed=1, stream=0.5)
            load.begin("losers", Target("127.0.0.1", port, context, ""))
            patience = time.monotonic() + PATIENCE
            while time.monotonic() < patience and not enough(ledger, witness):
                await asyncio.sleep(0.05)
            await load.end()
            server.close()
            return ledger, witness

        return asyncio.run(play())

    def assert_caught(self, kind: type[Backend], *words: str) -> None:
        """Each of the words is found together with the others in one loss."""
        found = partial(_one_with, words)
        ledger, _ = self.run_load(kind, lambda ledger, _: found(ledger.losses))
        self.assertTrue(found(ledger.losses), "\n".join(ledger.losses[:5]))

    def test_a_good_one_passes(self) -> None:
        """The load is satisfied with what answers right; else the others would say nothing."""
        ledger, witness = self.run_load(Loser, lambda ledger, _: set(ledger.right) == set(KINDS))
        self.assertEqual((ledger.losses, witness.faults), ([], []))
        self.assertEqual(set(ledger.right), set(KINDS))
        self.assertEqual((sum(ledger.resent.values()), ledger.closed_idle), (0, 0))

    def test_closes_before_answer(self) -> None:
        """A swallowed request that may not be sent again is a loss."""
        self.assert_caught(ClosesBeforeAnswer, "POST", "without an answer, on a kept connection")

    def test_closes_before_first_answer(self) -> None:
        """A swallowed first request of a connection is one, whatever its method."""
        self.assert_caught(ClosesBeforeAnswer, "GET", "without an answer, on a new connection")

    def test_closes_before_answer_to_what_may_be_sent_again(self) -> None:
        """A swallowed GET on a kept connection is sent again, and counted."""
        ledger, _ = self.run_load(ClosesBeforeAnswer, lambda ledger, _: ledger.resent["kept"])
        self.assertTrue(ledger.resent["kept"])

    def test_closes_without_a_word(self) -> None:
        """An end between two requests that nobody waits for is no loss, and is counted."""
        ledger, _ = self.run_load(ClosesWithoutAWord, lambda ledger, _: ledger.closed_idle)
        self.assertTrue(ledger.closed_idle)

    def test_closes_after_saying_so(self) -> None:
        """What was sent ahead of an announced end is sent again, whatever its method."""
        ledger, witness = self.run_load(SaysClose, lambda ledger, _: ledger.resent["ahead"] > 5)
        self.assertEqual((ledger.losses, witness.faults), ([], []))
        self.assertTrue(ledger.resent["ahead"])

    def test_cuts(self) -> None:
        """Half an answer is none, whatever the method."""
        self.assert_caught(Cuts, "GET", "closed within the answer")

    def test_refuses(self) -> None:
        """An answer of the gateway's own in place of the backend's is a loss."""
        self.assert_caught(Refuses, "its backend did not give", "503")

    def test_changes(self) -> None:
        """Bodies are compared."""
        self.assert_caught(Changes, "its backend did not give", "bytes")

    def test_resets_in_handshake(self) -> None:
        """No connection is a loss."""
        self.assert_caught(ResetsInHandshake, "ended in the handshake")

    def test_nobody_there(self) -> None:
        """So is a port on which nobody listens."""
        self.assert_caught(Absent, "there was no connection", "ConnectionRefused")

    def test_repeats(self) -> None:
        """What arrives twice and must not is seen by the witness."""
        _, witness = self.run_load(Repeats, lambda _, witness: witness.faults)
        self.assertIn("sent twice", witness.faults[0])


def _one_with(words: Sequence[str], losses: Sequence[str]) -> bool:
    return any(all(word in loss for word in words) for loss in losses)

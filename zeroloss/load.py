"""All clients at once."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl

from zeroloss.clients import KINDS, Client
from zeroloss.judge import Ledger
from zeroloss.line import Target


class Load:
    """Continuous mixed load.

    :param seed: repeats the lots of an earlier run, as far as time allows.
    :param stream: seconds that a stream, or a slow body, lasts at most.
    """

    def __init__(self, ledger: Ledger, seed: int, stream: float = 3.0):
        self.ledger = ledger
        self._seed = seed
        self._stream = stream
        self._running: list[tuple[Client, asyncio.Future]] = []

    def begin(self, name: str, target: Target, times: int = 1) -> asyncio.Event:
        """Start clients of all kinds.

        :param name: tells these from others in the report.
        :param times: so many times the usual number.
        :return: what ends these when it is set.
        """
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # It would warn of lost peers.
        over = asyncio.Event()
        for kind, (_, number) in KINDS.items():
            for each in range(number * times):
                rng = random.Random(f"{self._seed} {name} {kind} {each}")
                client = Client(kind, target, self.ledger, rng, self._stream, over)
                self._running.append((client, asyncio.ensure_future(_again_and_again(client))))
        return over

    def move(self, over: asyncio.Event, target: Target) -> None:
        """Have clients connect elsewhere from now on, as a load balancer would; what is connected
        stays.

        :param over: as of `begin`.
        """
        for client, _ in self._running:
            if client.over is over:
                client.target = target

    async def end(self, over: asyncio.Event | None = None) -> None:
        """Begin nothing new; return when everything that runs is over.

        :param over: only for the clients that this was returned for.
        """
        ending = [each for each in self._running if over in (None, each[0].over)]
        self._running = [each for each in self._running if each not in ending]
        for client, _ in ending:
            client.over.set()
        await asyncio.gather(*(task for _, task in ending))


async def _again_and_again(client: Client) -> None:
    kind, _ = KINDS[client.kind]
    await client.rest(0.0, 0.3)
    try:
        while not client.over.is_set():
            await kind(client)
    finally:
        client.leave()


def caller(ca: str, certificate: str | None, key: str | None) -> ssl.SSLContext:
    """How a caller speaks TLS.

    :param ca: file with the authorities that may vouch for the gateway.
    :raise OSError: a file cannot be read or used.
    """
    context = ssl.create_default_context(cafile=ca)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context

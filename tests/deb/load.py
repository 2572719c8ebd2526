"""Clients that ask without a pause while a service is restarted, and what came of it.

What counts as lost: a request whose client may not send it again by itself (RFC 9110 section
9.2.2, RFC 9112 section 9.3.1).  A GET may be, and so may any request that was refused a
connection, or that a kept connection was closed on before a byte of it was sent.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable

PER_CONNECTION = 20
PATIENCE = 30
"""Seconds until an answer must be there."""


class Load:
    """:param connect: makes a TLS context that shows a client certificate.
    :param ask: method, path and body of the requests, in turns.
    """

    def __init__(
        self,
        port: int,
        context: Callable[[], ssl.SSLContext],
        ask: list[tuple[str, str, bytes | None]],
        clients: int = 6,
    ):
        self.counts: Counter[str] = Counter()
        self.why: Counter[str] = Counter()
        self.longest = 0.0
        self._port = port
        self._context = context()
        self._ask = ask
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._client) for _ in range(clients)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _client(self) -> None:
        while not self._over.is_set():
            connection = http.client.HTTPSConnection(
                "localhost", self._port, timeout=PATIENCE, context=self._context
            )
            try:
                began = time.monotonic()
                try:
                    connection.connect()
                except OSError as error:
                    self._count("refused", error)
                    time.sleep(0.05)
                    continue
                for number in range(PER_CONNECTION):
                    if self._over.is_set() or not self._one(connection, number, began):
                        break
                    began = time.monotonic()
            finally:
                connection.close()

    def _one(self, connection: http.client.HTTPSConnection, number: int, began: float) -> bool:
        """:return: whether the connection can be used again."""
        method, path, body = self._ask[number % len(self._ask)]
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (http.client.HTTPException, OSError) as error:
            # On a connection that was kept, a GET may be sent again; anything else may not.
            self._count("may be sent again" if method == "GET" else "lost", error)
            return False
        good = answer.status == 200 and len(text) == int(answer.headers["content-length"] or -1)
        self._count("answered" if good else "lost", None if good else f"{answer.status} {text!r}")
        with self._lock:
            self.longest = max(self.longest, time.monotonic() - began)
        return good and not answer.will_close

    def _count(self, what: str, why: object = None) -> None:
        with self._lock:
            self.counts[what] += 1
            if why is not None:
                self.why[f"{what}: {type(why).__name__} {why}"[:200]] += 1

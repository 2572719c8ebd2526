"""The load client for machines without a C compiler: the same words in, the same lines out.

It costs several times as much as the one in C, and may so be the bottleneck; the table says when
it was.  A program of its own: `fallback.py MODE name=value ...`.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import selectors
import signal
import socket
import ssl
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

DEFAULTS: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": 0,
    "server_name": "localhost",
    "path": "/",
    "ca": "",
    "certificate": "",
    "key": "",
    "connections": 1,
    "rate": 300,
    "count": 1,
    "upload": 0,
    "vary": 0,
    "seconds": 1.0,
}
HANDSHAKES_AT_ONCE = 64
PIECE = b"x" * 65536
NUMBER = b"00000000"


class Wrong(Exception):
    """An answer, or a connection, is not what it must be."""


class Connection:
    """One TLS connection, at most one request on it at a time."""

    def __init__(self, client: Client):
        self.client = client
        self.began = 0
        self.open()

    def open(self) -> None:
        """Connect; `ready` does the rest as it can."""
        plain = socket.socket()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.client.mode == "slow":
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        plain.connect((self.client.options["host"], self.client.options["port"]))
        plain.setblocking(False)
        self.socket = self.client.context.wrap_socket(
            plain, server_hostname=self.client.options["server_name"], do_handshake_on_connect=False
        )
        self.step: Callable[[], None] = self.shake_hands
        self.counted = False
        self.line = b""
        self.client.selector.register(self.socket, selectors.EVENT_WRITE, self)
        self.watching = selectors.EVENT_WRITE

    def close(self) -> None:
        """Forget it."""
        with contextlib.suppress(KeyError, ValueError):
            self.client.selector.unregister(self.socket)
        with contextlib.suppress(OSError, ssl.SSLError):
            self.socket.setblocking(False)
            self.socket.unwrap()
        self.socket.close()

    def watch(self, events: int) -> None:
        """Ask for other events, if they are others."""
        if events != self.watching:
            self.client.selector.modify(self.socket, events, self)
            self.watching = events

    def ready(self) -> None:
        """Go on as far as the socket lets us."""
        try:
            self.step()
        except ssl.SSLWantReadError:
            self.watch(selectors.EVENT_READ)
        except ssl.SSLWantWriteError:
            self.watch(selectors.EVENT_WRITE)
        except (OSError, Wrong) as error:
            self.client.broken(self, str(error))

    def shake_hands(self) -> None:
        """Until both sides are sure of each other."""
        self.socket.do_handshake()
        self.client.handshakes += 1
        self.client.tls = f"{self.socket.version()} {(self.socket.cipher() or ('',))[0]}"
        self.watch(selectors.EVENT_READ)
        self.step = self.rest
        self.client.opened(self)

    def rest(self) -> None:
        """Nothing is asked for; tickets may come, answers must not."""
        data = self.socket.recv(65536)
        raise Wrong("an answer nobody asked for" if data else "the connection ended")

    def send(self, began: int) -> None:
        """Begin a request."""
        self.began = began
        self.unsent = memoryview(self.client.next_request())
        self.upload = self.client.options["upload"]
        self.head = b""
        self.left = -1
        self.step = self.push
        self.ready()

    def push(self) -> None:
        """Send what is left of the request."""
        while self.unsent or self.upload:
            if self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
            else:
                sent = self.socket.send(memoryview(PIECE)[: self.upload])
                self.upload -= sent
                self.client.bytes += sent
        self.watch(selectors.EVENT_READ)
        self.step = self.pull

    def pull(self) -> None:
        """Read of the answer what is there."""
        while True:
            if self.left >= 0 and self.client.mode == "slow":
                self.watch_nothing()
                return
            data = self.socket.recv(65536)
            if not data:
                raise Wrong("the connection ended")
            if self.left < 0 and self.step == self.pull and b"\r\n\r\n" not in self.head:
                body = self.take_head(data)
                if body is None:
                    continue
                data = body
            if self.client.mode == "streams":
                self.take_lines(data)
                continue
            if not self.client.options["upload"]:
                self.client.bytes += len(data)
            self.left -= len(data)
            if self.left <= 0 and self.client.mode != "slow":
                self.step = self.rest
                self.client.answered(self)
                return

    def take_head(self, data: bytes) -> bytes | None:
        """Read the head.

        :return: what came behind it; None: it is not whole yet.
        """
        self.head += data
        head, end, body = self.head.partition(b"\r\n\r\n")
        if not end:
            return None
        if not head.startswith(b"HTTP/1.1 200 "):
            raise Wrong(head.partition(b"\r\n")[0].decode("latin-1"))
        for field in head.split(b"\r\n")[1:]:
            name, _, value = field.partition(b":")
            if name.lower() == b"content-length":
                self.left = int(value)
        if self.left < 0 and self.client.mode != "streams":
            raise Wrong("an answer without Content-Length")
        return body

    def take_lines(self, data: bytes) -> None:
        """Lines of a stream hold `t=` and the nanoseconds at which they were written."""
        *lines, self.line = (self.line + data).split(b"\n")
        for line in lines:
            _, found, stamp = line.rpartition(b"t=")
            if found and self.client.started:
                self.client.record(int(stamp))
            elif found and not self.counted:
                self.counted = True
                self.client.hold()

    def watch_nothing(self) -> None:
        """Stop reading, for good."""
        self.client.selector.unregister(self.socket)
        if not self.counted:
            self.counted = True
            self.client.hold()


class Client:
    """All connections, and what comes of them."""

    def __init__(self, mode: str, options: dict[str, Any]):
        self.mode = mode
        self.options = options
        self.selector = selectors.DefaultSelector()
        self.context = ssl.create_default_context(cafile=options["ca"])
        self.context.load_cert_chain(options["certificate"], options["key"])
        body = f"Content-Length: {options['upload']}\r\n" if options["upload"] else ""
        self.request = (
            f"{'POST' if body else 'GET'} {options['path']} HTTP/1.1\r\n"
            f"Host: {options['server_name']}\r\nUser-Agent: toolforge-gateway-benchmark\r\n"
            f"Accept: application/json\r\n{body}\r\n"
        ).encode("ascii")
        self.connections: list[Connection] = []
        self.idle: list[Connection] = []
        self.waiting: deque[int] = deque()
        self.resting = self.begun = 0
        self.started = False
        self.tls = ""
        self.number = 0
        self.forget()

    def next_request(self) -> bytes:
        """The request, with a number that no other has where that was asked for."""
        if not self.options["vary"]:
            return self.request
        self.number += 1
        return self.request.replace(NUMBER, b"%08d" % self.number, 1)

    def forget(self) -> None:
        """Start counting."""
        self.requests = self.handshakes = self.errors = self.bytes = 0
        self.error = ""
        self.latencies: list[int] = []

    def record(self, began: int) -> None:
        """Count a request, or a line, and how old it is."""
        self.requests += 1
        self.latencies.append(time.monotonic_ns() - began)

    def hold(self) -> None:
        """One more connection is as it should be before the start."""
        self.resting += 1
        if len(self.connections) < self.options["connections"]:
            self.connections.append(Connection(self))

    def opened(self, connection: Connection) -> None:
        """The handshake is over."""
        if self.mode == "transfer":
            self.hold()
        else:
            connection.send(connection.began or time.monotonic_ns())

    def answered(self, connection: Connection) -> None:
        """The whole answer is there."""
        if not self.started:
            self.requests += 1
            self.idle.append(connection)
            self.hold()
            return
        self.record(connection.began)
        if self.mode == "connect":
            connection.close()
            connection.began = time.monotonic_ns()
            connection.open()
        elif self.mode == "rate" and self.waiting:
            connection.send(self.waiting.popleft())
        elif self.mode == "rate":
            self.idle.append(connection)
        else:
            self.begin(connection)

    def begin(self, connection: Connection) -> None:
        """The next request of a connection that has time."""
        if self.mode == "get" or self.begun < self.options["count"]:
            self.begun += 1
            connection.send(time.monotonic_ns())

    def broken(self, connection: Connection, why: str) -> None:
        """Count an error; more of them than connections are the end."""
        self.errors += 1
        self.error = self.error or why
        connection.close()
        if self.errors > 100 + 2 * self.options["connections"]:
            sys.exit(f"load client: too many errors, the first one: {self.error}")
        if not self.started:
            self.hold()
        elif self.mode in ("get", "connect", "rate"):
            connection.began = time.monotonic_ns()
            connection.open()

    def turn(self, timeout: float | None) -> bool:
        """Handle what is ready.

        :return: whether a line came on standard input.
        """
        word = False
        for key, _ in self.selector.select(timeout):
            if key.data is None:
                if not os.read(0, 64):
                    sys.exit(1)  # whoever started us is gone
                word = True
            else:
                key.data.ready()
        return word

    def prepare(self) -> None:
        """Hold all connections, each used once, and wait for the word."""
        if self.mode != "connect":
            for _ in range(min(HANDSHAKES_AT_ONCE, self.options["connections"])):
                self.connections.append(Connection(self))
            while self.resting < self.options["connections"]:
                self.turn(None)
        self.say("ready", 0.0, 0.0)
        self.selector.register(sys.stdin, selectors.EVENT_READ, None)
        while not self.turn(None):
            pass
        self.selector.unregister(sys.stdin)

    def run(self) -> None:
        """Put the load on, as long as it is wanted."""
        self.forget()
        cpu, start = time.process_time(), time.monotonic()
        self.started = True
        if self.mode == "connect":
            for _ in range(self.options["connections"]):
                connection = Connection(self)
                connection.began = time.monotonic_ns()
                self.connections.append(connection)
        elif self.mode in ("get", "transfer"):
            for connection in list(self.connections):
                self.begin(connection)
        end, sent = start + self.options["seconds"], 0
        while self.mode not in ("idle", "slow"):
            now = time.monotonic()
            if self.mode == "transfer":
                if self.requests + self.errors >= self.options["count"]:
                    break
            elif now >= end:
                break
            if self.mode == "rate":
                while sent < (now - start) * self.options["rate"]:
                    sent += 1
                    if self.idle:
                        self.idle.pop().send(time.monotonic_ns())
                    else:
                        self.waiting.append(time.monotonic_ns())
                self.turn(max(0.0, start + sent / self.options["rate"] - time.monotonic()))
            else:
                self.turn(None if self.mode == "transfer" else end - now)
        self.say("done", time.monotonic() - start, time.process_time() - cpu)

    def say(self, event: str, seconds: float, cpu: float) -> None:
        """One line of JSON."""
        members: dict[str, Any] = {
            "event": event,
            "seconds": seconds,
            "cpu_seconds": cpu,
            "requests": self.requests,
            "handshakes": self.handshakes,
            "bytes": self.bytes,
            "errors": self.errors,
            "error": self.error,
            "tls": self.tls,
            "samples": len(self.latencies),
        }
        if ordered := sorted(self.latencies):
            for name, share in (("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99)):
                members[name] = ordered[round(share * (len(ordered) - 1))] / 1e3
        print(json.dumps(members), flush=True)


def main(argv: list[str]) -> None:
    """Read the words and do what they say."""
    mode, *words = argv
    options = dict(DEFAULTS)
    for word in words:
        name, _, value = word.partition("=")
        options[name] = type(DEFAULTS[name])(value)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    signal.alarm(300)  # whatever happens, it ends
    client = Client(mode, options)
    client.prepare()
    client.run()


if __name__ == "__main__":
    main(sys.argv[1:])

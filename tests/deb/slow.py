"""A backend that takes its time: `/…/5` is a stream of five lines, one a second, and an end."""

from __future__ import annotations

import ssl
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TLS = "/etc/toolforge-gateway/tls"
PORT = 18450


class Slow(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(int(self.path.rpartition("/")[2])):
            self.chunk(f"{number}\n".encode())
            time.sleep(1)
        self.chunk(b"end\n")
        self.chunk(b"")

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Nobody wants to know."""


server = ThreadingHTTPServer(("127.0.0.1", PORT), Slow)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=f"{TLS}/backend-ca.crt")
context.verify_mode = ssl.CERT_REQUIRED
context.load_cert_chain(f"{TLS}/backend.crt", f"{TLS}/backend.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()

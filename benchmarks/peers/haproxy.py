"""HAProxy in HTTP mode, ending TLS itself."""

from __future__ import annotations

from benchmarks.peers.nginx import openssl_of
from benchmarks.peers.peer import Peer
from benchmarks.stage import BACKEND_NAME, Stage, program

_CONFIGURATION = """
global
  nbthread 1
  maxconn 9000
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  maxconn 9000
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  http-reuse always
  default-server ssl crt {pki}/gateway-client.pem ca-file {pki}/backend-ca.crt verify required \
verifyhost {name} sni str({name}) pool-max-conn 64 pool-purge-delay 1h
frontend front
  bind 127.0.0.1:{port} backlog 4096 ssl crt {pki}/server.pem ca-file {pki}/client-cas.crt \
verify optional
  http-request set-header X-Toolforge-Tool %[ssl_c_s_dn(cn)]
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto https
  use_backend streams if {{ path_beg /logs/ }}
  default_backend jobs
backend jobs
  http-request replace-path /jobs(/.*) \\1
  server backend 127.0.0.1:{backend}
backend streams
  http-request replace-path /logs(/.*) \\1
  server streams 127.0.0.1:{streams}
"""


class HAProxy(Peer):
    """Verifies client certificates and proxies over mutual TLS on kept connections."""

    name = "haproxy"
    title = "HAProxy"

    def __init__(self, stage: Stage):
        self._program = program("haproxy")
        super().__init__(stage)

    def openssl(self) -> str:
        """See `Peer`."""
        return openssl_of(self._program, "-vv")

    def run(self) -> None:
        """See `Peer`."""
        text = _CONFIGURATION.format(
            pki=self.stage.pki,
            port=self.port,
            backend=self.stage.backend_port,
            streams=self.stage.streams_port,
            name=BACKEND_NAME,
        )
        self.spawn([self._program, "-db", "-f", str(self.write("haproxy.cfg", text))])

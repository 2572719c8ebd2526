"""nginx: plain, without session tickets, with a map for the path, with an auth service."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from benchmarks.peers.peer import Peer, from_environment
from benchmarks.stage import BACKEND_NAME, FRONT_NAME, Stage, nginx_command, program
from toolforge_gateway.testing.ports import free_port

_CONFIGURATION = """
daemon off; worker_processes 1;
pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 30000; }}
http {{
  access_log {folder}/access.log combined;
  keepalive_timeout 1h; keepalive_requests 1000000000;
  client_max_body_size 1g;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2;
  fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  upstream backend {{
    server 127.0.0.1:{backend};
    keepalive 64; keepalive_requests 1000000000; keepalive_timeout 1h;
  }}
  upstream streams {{ server 127.0.0.1:{streams}; }}
  {http}
  server {{
    listen 127.0.0.1:{port} ssl backlog=4096;
    server_name {front};
    ssl_protocols TLSv1.2 TLSv1.3; proxy_ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate {pki}/server.crt; ssl_certificate_key {pki}/server.key;
    ssl_client_certificate {pki}/client-cas.crt; ssl_verify_client optional;
    {server}
    proxy_http_version 1.1;
    proxy_ssl_certificate {pki}/gateway-client.crt;
    proxy_ssl_certificate_key {pki}/gateway-client.key;
    proxy_ssl_trusted_certificate {pki}/backend-ca.crt;
    proxy_ssl_verify on; proxy_ssl_name {name}; proxy_ssl_server_name on;
    # Bodies pass through as they come, in both directions: nothing is put on a disk.
    proxy_request_buffering off; proxy_max_temp_file_size 0;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto https;
    proxy_set_header X-Toolforge-Tool {tool};
    location /jobs/ {{ {location} proxy_pass https://backend/; }}
    location /logs/ {{
      {location} proxy_buffering off; proxy_read_timeout 1h; proxy_pass https://streams/;
    }}
  }}
}}
"""

_TOOL = 'map $ssl_client_s_dn $tool { "~(^|,)CN=(?<cn>[a-z0-9][a-z0-9.-]*)(,|$)" $cn; }'


class Nginx(Peer):
    """Asks for client certificates, verifies them, and proxies to the backends over mutual TLS
    on kept connections; who may do what is left to the backends."""

    name = "nginx"
    title = "nginx"
    http = ""
    server = ""
    location = ""
    tool = "$ssl_client_s_dn"

    def __init__(self, stage: Stage):
        self._program = program("nginx")
        super().__init__(stage)

    def openssl(self) -> str:
        """See `Peer`."""
        return openssl_of(self._program, "-V")

    def run(self) -> None:
        """See `Peer`."""
        configuration = self.write("nginx.conf", self._text())
        self.spawn(nginx_command(self.folder, configuration))

    def _text(self) -> str:
        return _CONFIGURATION.format(
            folder=self.folder,
            pki=self.stage.pki,
            port=self.port,
            backend=self.stage.backend_port,
            streams=self.stage.streams_port,
            front=FRONT_NAME,
            name=BACKEND_NAME,
            http=self.http,
            server=self.server,
            location=self.location,
            tool=self.tool,
        )


class NginxWithoutTickets(Nginx):
    """The same, and no work for sessions that nobody resumes."""

    name = "nginx-no-tickets"
    title = "nginx, tickets off"
    server = "ssl_session_tickets off;"


class NginxMap(Nginx):
    """Compares the certificate's name with the path by regular expressions."""

    name = "nginx-map"
    title = "nginx with a map"
    http = _TOOL + (
        ' map "$tool:$uri" $allowed { default 0; "~^([^:]+):/[^/]+/v[0-9]+/tool/\\1/" 1; }'
    )
    location = "if ($allowed = 0) { return 403; }"
    tool = "$tool"


class NginxAuthRequest(Nginx):
    """Asks a web service in Python before each request, on a new connection, as is usual."""

    name = "nginx-auth"
    title = "nginx + auth service"
    location = "auth_request /_auth; auth_request_set $tool $upstream_http_x_toolforge_tool;"
    tool = "$tool"

    def __init__(self, stage: Stage):
        self._uvicorn = from_environment("TOOLFORGE_BENCH_BIN", "uvicorn", "uvicorn")
        super().__init__(stage)
        self._auth_port = free_port()
        self.server = (
            f"location = /_auth {{ internal; proxy_pass http://127.0.0.1:{self._auth_port}/auth;"
            " proxy_pass_request_body off; proxy_set_header Content-Length '';"
            " proxy_set_header X-Client-Subject $ssl_client_s_dn;"
            " proxy_set_header X-Client-Verify $ssl_client_verify;"
            " proxy_set_header X-Original-URI $request_uri; }"
        )

    def run(self) -> None:
        """See `Peer`."""
        folder = str(Path(__file__).parent)
        command = [self._uvicorn, "--app-dir", folder, "--port", str(self._auth_port)]
        self.spawn([*command, "authservice:app"]).wait_for(self._auth_port)
        super().run()


def openssl_of(command: str, option: str) -> str:
    """The OpenSSL that a program says it runs with."""
    done = subprocess.run([command, option], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    found = re.search(r"(?:running with|Running on) ?(?:OpenSSL version :)? ?(OpenSSL \S+)", said)
    found = found or re.search(r"(?:built with|Built with) (?:OpenSSL version : )?(\w+ \S+)", said)
    return found[1] if found else "unknown"

"""What every proxy of a run shares: keys, ports, a folder, CPUs, and the backends behind."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from benchmarks.processes import Program
from toolforge_gateway.testing.pki import write_demo
from toolforge_gateway.testing.ports import free_port

BACKEND_NAME = "jobs-api.jobs-api.svc.tools.local"
"""What the backends' certificate is for."""
FRONT_NAME = "api.svc.toolforge.local"
"""What the proxies' certificate is for."""
TOOL = "tf-test"
SMALL = f"/v1/tool/{TOOL}/small"
BIG = f"/v1/tool/{TOOL}/big"
UPLOAD = f"/v1/tool/{TOOL}/upload"
FOLLOW = f"/v1/tool/{TOOL}/logs"

_BACKEND = """
daemon off; worker_processes 1;
pid {folder}/backend.pid; error_log {folder}/backend-error.log;
events {{ worker_connections 30000; }}
http {{
  access_log off; default_type application/json;
  keepalive_timeout 1h; keepalive_requests 1000000000;
  client_max_body_size 1g;
  client_body_temp_path {folder}/b1; proxy_temp_path {folder}/b2;
  fastcgi_temp_path {folder}/b3; uwsgi_temp_path {folder}/b4; scgi_temp_path {folder}/b5;
  server {{
    listen 127.0.0.1:{port} ssl backlog=4096;
    ssl_protocols TLSv1.3;
    ssl_certificate {pki}/backend.crt; ssl_certificate_key {pki}/backend.key;
    ssl_client_certificate {pki}/backend-ca.crt; ssl_verify_client on;
    location = {small} {{ return 200 '{answer}'; }}
    location = {big} {{ alias {folder}/big; }}
    # The whole body is read before anything is answered, as an application does.
    location = {upload} {{
      client_body_buffer_size 110m; proxy_pass_request_body off; proxy_method GET;
      proxy_set_header Content-Length ""; proxy_pass http://unix:{folder}/taken.sock;
    }}
  }}
  server {{ listen unix:{folder}/taken.sock; location / {{ return 200 '{answer}'; }} }}
}}
"""


class Stage:
    """A folder with keys and files, free ports, and two running backends.

    :param folder: empty; everything is written into it.
    :param big: bytes of the large body.
    :param pki: a folder of `make_keys`; by default one is made.
    """

    def __init__(self, folder: Path, big: int, pki: Path | None = None):
        self.folder = folder
        self.pki = pki or make_keys(folder / "pki")
        cpus = sorted(os.sched_getaffinity(0))
        self.load_cpu, self.proxy_cpu = cpus[0], cpus[-1]
        self.big = big
        with (folder / "big").open("wb") as file:
            file.truncate(big)
        # nginx as root reads files as another user.
        folder.chmod(0o755)
        self.backend_port, self.streams_port = free_port(), free_port()
        self._programs: list[Program] = []

    def start(self) -> None:
        """Start the backends.

        :raise CannotRun: one of them does not come up.
        """
        answer = ('{"jobs":[' + '"a-sample-job-of-the-tool",' * 20)[: 280 - 4] + '""]}'
        text = _BACKEND.format(
            folder=self.folder,
            pki=self.pki,
            port=self.backend_port,
            small=SMALL,
            big=BIG,
            upload=UPLOAD,
            answer=answer,
        )
        configuration = self.folder / "backend.conf"
        configuration.write_text(text, encoding="utf-8")
        self._start("backend", nginx_command(self.folder, configuration), self.backend_port)
        here = Path(__file__).parent
        streams = [sys.executable, str(here / "streams.py"), str(self.streams_port), str(self.pki)]
        self._start("streams", streams, self.streams_port)

    def _start(self, name: str, command: list[str], port: int) -> None:
        program = Program(command, self.load_cpu, self.folder / f"{name}.log")
        self._programs.append(program)
        program.wait_for(port)

    @property
    def backend_pids(self) -> list[int]:
        """The roots of the backends' processes."""
        return [program.process.pid for program in self._programs]

    def end(self) -> None:
        """End the backends."""
        for program in self._programs:
            program.end()


def make_keys(pki: Path) -> Path:
    """Write a PKI with its keys in the forms that the programs want them in, and callers' keys of
    two kinds, which takes a second or two.

    :return: the folder.
    """
    kubernetes = write_demo(pki).kubernetes
    subject = (("O", "toolforge"), ("CN", TOOL))
    kubernetes.issue(subject, key="ec").write(pki, "caller-ecdsa")
    kubernetes.issue(subject, key="rsa4096").write(pki, "caller-rsa4096")
    for name in ("server", "gateway-client"):
        both = (pki / f"{name}.crt").read_bytes() + (pki / f"{name}.key").read_bytes()
        (pki / f"{name}.pem").write_bytes(both)
    authorities = (pki / "k8s-ca.crt").read_bytes() + (pki / "backend-ca.crt").read_bytes()
    (pki / "client-cas.crt").write_bytes(authorities)
    pki.chmod(0o755)
    for path in pki.iterdir():
        path.chmod(0o644)
    return pki


def nginx_command(folder: Path, configuration: Path) -> list[str]:
    """How nginx is started with a configuration and a place for its files."""
    return [program("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(configuration)]


def program(name: str) -> str:
    """Where a program is.

    :raise LookupError: it is not installed.
    """
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
    found = shutil.which(name, path=path)
    if found is None:
        raise LookupError(f"{name} is not installed")
    return found

"""The container image, as it was built; `./run chart` builds it where that can be done."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from twisted.internet import reactor

from tests.chart.pod import lay, on_loopback, room, swap
from tests.chart.rendering import TOOLFORGE, missing, objects
from tests.clients import programs
from tests.clients.stage import pki
from tests.clients.test_nginx import connectable
from tests.coroutines import CoroutineCase
from tests.relay.ends import Backend, connect
from toolforge_gateway._version import __version__
from toolforge_gateway.testing.ports import free_port


def no_image() -> str | None:
    """Why these tests are skipped; None: they are not."""
    if "TOOLFORGE_IMAGE" not in os.environ:
        return "no image: `./run chart` builds one, where there is buildah, and runs these tests"
    return missing()


def descendants(pid: int) -> Iterator[tuple[int, list[str]]]:
    """Number and command line of each process below one, the deepest first."""
    children = Path(f"/proc/{pid}/task")
    for file in children.glob("*/children"):
        for child in map(int, file.read_text().split()):
            yield from descendants(child)
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            yield child, [word.decode() for word in words]


class ImageTests(CoroutineCase):
    """Containers of it, made by buildah, in this machine's network."""

    timeout = 120
    skip = no_image()

    async def container(self) -> list[str]:
        """Make one.

        :return: the start of a command line that runs something in it.
        """
        *buildah, tag = json.loads(os.environ["TOOLFORGE_IMAGE"])
        made = await self.buildah(*buildah, "from", "--pull-never", tag)
        name = made.strip()
        self.addCleanup(self.buildah, *buildah, "rm", name)
        self.name = name
        return [*buildah, "run", "--isolation=chroot"]

    def end(self, gateway: programs.Running):
        """Kill what runs inside; buildah goes with it, and would leave it behind."""
        if gateway.transport.pid is not None:
            for pid, _ in descendants(gateway.transport.pid):
                os.kill(pid, signal.SIGKILL)
        return gateway.end()

    async def buildah(self, *command: str) -> str:
        """Run buildah to its end; what it says."""
        done = await programs.run(reactor, command, {"STORAGE_DRIVER": "vfs", "HOME": "/root"})
        self.assertEqual(done.code, 0, done.said)
        return done.out

    async def test_inside(self) -> None:
        """In a container one is the gateway's user, who can change nothing there, and finds the
        gateway's version, what the Pod's commands are made of, and no pip."""
        run = await self.container()
        script = (
            "for name in sh sleep readlink; do command -v $name >/dev/null || echo no $name; done;"
            "id -u; toolforge-gateway --version; twistd --version >/dev/null && echo twistd;"
            " touch /opt/toolforge-gateway/x 2>/dev/null || echo read-only;"
            " for name in pip pip3 gcc cc make; do command -v $name; done;"
            ' python3 -c "import pip" 2>/dev/null && echo pip; echo $OPENSSL_CONF; ls $OPENSSL_CONF'
        )
        said = await self.buildah(*run, self.name, "--", "sh", "-c", script)
        file = "/opt/toolforge-gateway/etc/openssl.cnf"
        self.assertEqual(
            said.split(),
            ["10001", "toolforge-gateway", __version__, "twistd", "read-only", file, file],
        )

    async def test_labels(self) -> None:
        """The image says its version, its licence, whose it is, and how it is stopped."""
        *buildah, tag = json.loads(os.environ["TOOLFORGE_IMAGE"])
        told = json.loads(await self.buildah(*buildah, "inspect", "--type=image", tag))
        config = told["OCIv1"]["config"]
        self.assertEqual(config["Labels"]["org.opencontainers.image.version"], __version__)
        self.assertEqual(config["User"], "10001:10001")
        self.assertEqual(config["StopSignal"], "SIGTERM")
        self.assertEqual(config["Entrypoint"][0], "twistd")

    async def test_serves(self) -> None:
        """A container with the files of the Pod serves a tool's request over mutual TLS, and
        ends with 0 at SIGTERM."""
        folder = room(self)
        # Whoever runs in the container is somebody else here too.
        folder.chmod(0o755)
        rendered = objects(TOOLFORGE)
        home = lay(rendered, folder)
        (folder / "run" / "toolforge-gateway").chmod(0o777)
        backend = Backend(pki())
        self.addCleanup(backend.port.stopListening)
        ports = {"https": free_port(), "operations": free_port()}
        document = on_loopback(rendered, ports, {"/jobs": backend.number})
        document = document.replace("lame_duck: 25", "lame_duck: 0")
        swap(home / "config", {"gateway.yaml": document})
        for private in home.rglob("*.key"):
            private.chmod(0o444)  # fsGroup does that in a Pod
        run = await self.container()
        mounts = ["--volume", f"{home}:/etc/toolforge-gateway:ro"]
        mounts += ["--volume", f"{folder}/run/toolforge-gateway:/run/toolforge-gateway"]
        command = ["twistd", "--nodaemon", "--pidfile=", "toolforge-gateway"]
        command += ["--config", "/etc/toolforge-gateway/config/gateway.yaml"]
        gateway = programs.start(
            reactor,
            [*run, *mounts, self.name, "--", *command],
            {"STORAGE_DRIVER": "vfs", "HOME": "/root"},
        )
        self.addCleanup(self.end, gateway)
        await connectable(ports["https"])
        client = await connect(pki(), ports["https"], "tool-tf-test")
        client.send(b"GET /jobs/v1/tool/tf-test/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = await client.until(b"\r\n\r\nok")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer)
        client.transport.abortConnection()
        await client.closed()
        [inside] = [
            pid
            for pid, words in descendants(gateway.transport.pid)
            if "toolforge-gateway" in words and words[0].endswith("/python")
        ]
        os.kill(inside, signal.SIGTERM)
        end = await gateway.ended
        self.assertEqual((end.code, end.signal), (0, None), end.said)
        self.assertNotIn("Traceback", end.said)
        self.assertNotIn("Unable to write", end.said)

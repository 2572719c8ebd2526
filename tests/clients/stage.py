"""What the real programs talk to: sample backends, the gateway, a PKI.

The backends run in the test's reactor, so that a test can look into them.  So
does the gateway, but for the tests of the program `twistd` itself.
"""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import yaml
from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests.clients import programs
from tests.transport import chosen
from toolforge_gateway import config
from toolforge_gateway.demo.backends import SAMPLES, listen
from toolforge_gateway.demo.sample import SampleAPI
from toolforge_gateway.service import make_service
from toolforge_gateway.testing.pki import write_demo
from toolforge_gateway.testing.ports import free_port

ROOT = Path(__file__).resolve().parent.parent.parent


@functools.cache
def pki() -> Path:
    """The folder of a PKI that all tests share: keys take their time."""
    folder = tempfile.mkdtemp(prefix="toolforge-gateway-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write_demo(Path(folder) / "tls").directory


@inlineCallbacks
def eventually(true: Callable[[], object], within: float = 15.0):
    """Wait until something is true, at most so many seconds.

    :raise AssertionError: it never was.
    """
    deadline = reactor.seconds() + within
    while not true():
        if reactor.seconds() > deadline:
            raise AssertionError(f"not within {within} s: {true}")
        yield deferLater(reactor, 0.01)


class Stage(TestCase):
    """A test with backends and a gateway, on the shipped configuration.

    `etc/gateway.yaml` is what runs, but for ports and the access log.
    """

    timeout = 60
    samples: Iterable[str] = tuple(SAMPLES)
    """Which backends run; the others are down."""

    def setUp(self):
        self.folder = Path(self.mktemp())
        self.folder.mkdir(parents=True)
        (self.folder / "tls").symlink_to(pki())
        self.backends: dict[str, SampleAPI] = {}
        self.ports: dict[str, IListeningPort] = {}
        for name in self.samples:
            self.start_backend(name)
        return self.start_gateway(self.configuration())

    def start_backend(self, name: str, clock: object = reactor) -> SampleAPI:
        """Serve a sample; it goes when the test does."""
        self.backends[name] = sample = SAMPLES[name](clock)
        self.ports[name] = listen(reactor, sample, pki())
        self.addCleanup(self.close_backend, name)
        return sample

    def close_backend(self, name: str):
        """The backend is down: its port refuses."""
        return maybeDeferred(self.ports[name].stopListening)

    def configuration(self) -> dict:
        """The shipped configuration with this test's ports; a test may change it."""
        document = yaml.safe_load((ROOT / "etc" / "gateway.yaml").read_text())
        document["listen"][0]["endpoint"] = "tcp:0:interface=127.0.0.1"
        del document["operations"]
        for backend in document["backends"]:
            port = self.ports.get(backend["path"].strip("/"))
            number = port.getHost().port if port else free_port()
            backend["url"] = f"https://127.0.0.1:{number}"
        document["access_log"]["file"] = "access.log"
        document["timeouts"]["drain"] = 1
        return document

    def write(self, document: dict) -> Path:
        """Write a configuration file beside the PKI."""
        path = self.folder / "gateway.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    def start_gateway(self, document: dict):
        """Run a gateway in this reactor until the test is over; may give a Deferred."""
        self.service = service = make_service(
            config.load(self.write(document)), reactor, chosen(reactor)
        )
        service.privilegedStartService()
        service.startService()
        self.addCleanup(service.stopService)
        self.port = service.addresses()[0].port

    def access_log(self) -> list[dict]:
        """What the gateway has logged, line by line."""
        text = (self.folder / "access.log").read_text()
        return [json.loads(line) for line in text.splitlines()]

    @property
    def url(self) -> str:
        """Where clients find the gateway."""
        return f"https://localhost:{self.port}"

    def toolforge(
        self, name: str, *arguments: str, tool: str = "tf-test", user: dict | None = None
    ):
        """Start one of the real Toolforge programs.

        :param tool: whose namespace the kubeconfig has.
        :param user: the kubeconfig's user entry; by default `certificate("tf-test")`.
        """
        home = Path(self.mktemp()).resolve()
        (home / ".kube").mkdir(parents=True)
        (home / ".kube" / "config").write_text(yaml.safe_dump(kubeconfig(tool, user)))
        # REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE stay out: they would win over
        # the client's own choice, as `programs.start` says.
        environment = {"HOME": str(home), "TOOL_TOOLFORGE_API_URL": self.url, "COLUMNS": "200"}
        running = programs.start(reactor, [programs.client(name), *arguments], environment)
        self.addCleanup(running.end)
        return running


def certificate(tool: str) -> dict[str, str]:
    """A kubeconfig user with a tool's certificate, by path."""
    return {
        "client-certificate": str(pki() / f"tool-{tool}.crt"),
        "client-key": str(pki() / f"tool-{tool}.key"),
    }


def kubeconfig(tool: str, user: dict | None = None) -> dict:
    """A kubeconfig as maintain-kubeusers makes it for a tool."""
    context = {"cluster": "tools", "user": tool, "namespace": f"tool-{tool}"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tools", "cluster": {"server": "https://kubernetes.invalid"}}],
        "users": [{"name": tool, "user": user or certificate("tf-test")}],
        "contexts": [{"name": "tools", "context": context}],
        "current-context": "tools",
    }

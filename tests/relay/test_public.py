"""What is public is what docs/operations.md says, and what it says about closing it closes it."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tests.clients.stage import ROOT, pki
from tests.relay.ends import End, connect
from tests.relay.stage import GET, Stage, refused

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def snippet(name: str) -> Any:
    """A piece of configuration from the documentation, by the word behind `yaml`."""
    found = re.search(rf"^```yaml {name}\n(.*?)^```", OPERATIONS, re.M | re.S)
    assert found is not None, name
    return yaml.safe_load(found[1])


def asked(path: str) -> bytes:
    return b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode()


class OpenTests(Stage):
    async def test_backends_metrics(self) -> None:
        """By default a backend's metrics, health and document are for anybody, and nothing else
        of it is decided here to be."""
        for path in ("/jobs/v1/metrics", "/jobs/v1/healthz", "/jobs/openapi.json"):
            answer = await self.ask(asked(path), certificate=None)
            self.assertIn(b" 200 ", answer.partition(b"\r\n")[0], path)
        self.assertEqual({line["reason"] for line in self.log()}, {"anonymous"})


class ClosedTests(Stage):
    """With the two lists of the documentation."""

    backend_keys = snippet("closed")

    async def test_closed(self) -> None:
        """A backend's metrics are closed to everybody, whatever they show; its health and
        document are as before."""
        for certificate in (None, "tool-tf-test", "admin", "gateway-client"):
            answer = await self.ask(asked("/jobs/v1/metrics"), b"}", certificate)
            self.assertEqual(refused(answer)[0], 403, certificate)
        for path in ("/jobs/v1/healthz", "/jobs/openapi.json"):
            answer = await self.ask(asked(path), certificate=None)
            self.assertIn(b" 200 ", answer.partition(b"\r\n")[0], path)
        await self.ask(GET)


class KnownTests(Stage):
    """As the documentation says: left to known callers."""

    backend_keys: dict[str, Any] = {
        **snippet("closed"),
        "open_paths": ["/openapi.json", "/v{n}/healthz", "/v{n}/metrics"],
        "anonymous": "refuse",
    }

    async def test_known(self) -> None:
        """Whoever is known reads a backend's metrics, nobody else does."""
        answer = await self.ask(asked("/jobs/v1/metrics"), b"}", None)
        self.assertEqual(refused(answer), (401, "no-evidence"))
        answer = await self.ask(asked("/jobs/v1/metrics"))
        self.assertIn(b" 200 ", answer.partition(b"\r\n")[0])


class ExternalTests(Stage):
    """With the second listener of the documentation, but for addresses and files."""

    def document(self) -> dict[str, Any]:
        document = super().document()
        (listener,) = snippet("external")
        listener["endpoint"] = "tcp:0:interface=127.0.0.1"
        listener["forwarded"]["trusted"][0]["cidr"] = "127.0.0.1/32"
        document["listen"].append(listener)
        return document

    async def outside(self, request: bytes, certificate: str | None, until: bytes) -> bytes:
        """What comes back on the second listener."""
        client: End = await connect(pki(), self.service.addresses()[1].port, certificate, b"")
        client.send(request)
        received: bytes = await client.until(until)
        client.transport.abortConnection()
        return received

    async def test_certificates(self) -> None:
        """A certificate that is offered there is nobody's; on the first listener it is a tool's."""
        await self.outside(GET, "tool-tf-test", b"\r\n\r\nok")
        self.assertNotIn(b"X-Toolforge-Tool", self.backend.received)
        await self.ask(GET)
        self.assertEqual([line["kind"] for line in self.log()], ["anonymous", "tool"])

    async def test_proxy(self) -> None:
        """The client's address is what the proxy says; on the first listener it is not believed."""
        head = GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
        await self.outside(head, None, b"\r\n\r\nok")
        await self.ask(head)
        self.assertEqual([line["client"] for line in self.log()], ["203.0.113.9", "127.0.0.1"])

    async def test_no_secrets(self) -> None:
        """There too the status is names and states alone."""
        answer = await self.outside(asked("/status"), "admin", b'"whole"')
        self.assertIn(b'"whole": false', answer)
        self.assertNotIn(b"certificates", answer)

"""A gateway between a client and a backend whose configuration changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from twisted.internet import reactor

from tests.clients.stage import pki
from tests.relay.ends import OK, Backend, answering
from tests.relay.stage import Stage
from toolforge_gateway.reload import Outcome, Reloader

AS_SERVICE = "service-components-api"


def raiser(error: Exception) -> Callable[..., None]:
    """A method that fails."""

    def fails(*_: object) -> None:
        raise error

    return fails


class Reloading(Stage):
    def setUp(self) -> None:
        super().setUp()
        self.file = self.folder / "gateway.yaml"
        # The name of a Unix socket is short (unix(7): 108 bytes), and a test's folder may be deep.
        short = TemporaryDirectory()
        self.addCleanup(short.cleanup)
        self.short = Path(short.name)
        version = self.service.prepared.configuration.version
        self.reloader = Reloader(self.file, self.service, version, reactor)

    async def reload(self, document: dict | str) -> Outcome:
        text = document if isinstance(document, str) else yaml.safe_dump(document)
        self.file.write_text(text)
        return await self.reloader.reload()

    async def changed(self, document: dict) -> None:
        """Put a document in force."""
        outcome = await self.reload(document)
        self.assertEqual(outcome.complaints, ())
        self.assertTrue(outcome.good)

    def second_backend(self) -> Backend:
        other = Backend(pki())
        other.script = answering(OK.replace(b"ok", b"2!"))
        self.addCleanup(other.port.stopListening)
        return other

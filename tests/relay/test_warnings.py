"""What is odd about a configuration, and no reason not to start."""

from __future__ import annotations

from twisted.logger import formatEvent, globalLogPublisher

from tests.relay.stage import GET, Stage


class Warnings(Stage):
    def setUp(self):
        self.told: list[dict] = []
        globalLogPublisher.addObserver(self.told.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.told.append)
        super().setUp()

    def authenticators(self) -> list[dict]:
        """Superusers as the plain list of old, which lets them everywhere."""
        old = {"kind": "superuser", "superusers": ["service:components-api"]}
        return [super().authenticators()[0], old]

    async def test_logged_at_start(self):
        """A warning is in the log with file, line and key, and the gateway serves all the same."""
        warnings = [formatEvent(event) for event in self.told if "complaint" in event]
        self.assertEqual(len(warnings), 1, warnings)
        self.assertRegex(warnings[0], r"gateway\.yaml:\d+: authenticators\[1\]\.superusers")
        await self.ask(GET, certificate="service-components-api")

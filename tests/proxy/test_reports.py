"""What the log says of an address that fails."""

from __future__ import annotations

from twisted.logger import formatEvent, globalLogPublisher

from tests.proxy.stage import ONE, TWO, PoolCase
from toolforge_gateway.config.backend import UpstreamAddress
from toolforge_gateway.proxy.reports import EVERY, KINDS


class Listening(PoolCase):
    """What the gateway's log says is in `said`."""

    def setUp(self) -> None:
        super().setUp()
        self.said: list[str] = []

        def listen(event: dict) -> None:
            if str(event["log_namespace"]).startswith("toolforge_gateway"):
                self.said.append(formatEvent(event))

        globalLogPublisher.addObserver(listen)
        self.addCleanup(globalLogPublisher.removeObserver, listen)


class ReportsTests(Listening):
    """A backend with one address."""

    def test_where_and_why(self) -> None:
        """A line has the backend, the address, the reason word that the access log has, and what
        went wrong, be it before or after the request was written."""
        self.ask()
        self.network.dials[-1].refuse()
        self.pool.unanswered(self.borrow(), "backend-timeout", "no answer in time")
        self.assertEqual(
            self.said,
            [
                f"jobs at {ONE}: backend-refused: Connection was refused by other side.",
                f"jobs at {ONE}: backend-timeout: no answer in time",
            ],
        )

    def test_not_for_each(self) -> None:
        """Of failures of one kind there is a line at first, and then one for all that came in
        a while; another kind has its own."""
        for _ in range(1000):
            self.spoil(ONE, 1)
        self.assertEqual(len(self.said), 1)
        self.ask()
        self.network.dials[-1].refuse()
        self.assertEqual(len(self.said), 2)
        self.advance(EVERY)
        self.spoil(ONE)
        self.assertEqual(len(self.said), 3)
        self.assertTrue(self.said[-1].endswith("a test (999 more since this was last said)"))
        self.advance(EVERY)
        self.spoil(ONE)
        self.assertTrue(self.said[-1].endswith("a test (2 more since this was last said)"))

    def test_many_kinds(self) -> None:
        """Of a backend that fails in ever other ways only so many are told apart."""
        (upstream,) = self.pool.upstreams
        for n in range(1000):
            self.pool.failed(upstream, "backend-broken-answer", f"fault {n}")
        self.assertEqual(len(self.said), KINDS + 1)


class SeveralTests(Listening):
    """A backend with several addresses."""

    addresses = (ONE, TWO)

    def test_where_and_why(self) -> None:
        """Each has lines of its own."""
        self.spoil(ONE, 2)
        self.spoil(TWO, 2)
        self.assertEqual(
            [line.partition(": ")[0] for line in self.said], [f"jobs at {ONE}", f"jobs at {TWO}"]
        )

    def test_spared(self) -> None:
        """That an address is spared is said each time."""
        for _ in range(2):
            self.spoil(ONE)
        self.assertEqual(len(self.said), 2)
        self.assertIn("is spared for", self.said[-1])


class NameTests(Listening):
    """A backend with a name."""

    addresses = (UpstreamAddress("jobs.example.org", 443),)
    keys = {"dns_refresh": 1.0}

    def test_name_server(self) -> None:
        """That a name has no address is said once, and that it has some again."""
        self.network.names = {"jobs.example.org": []}
        self.pool.start()
        self.advance(3)
        self.network.names = {"jobs.example.org": ["192.0.2.1"]}
        self.advance(3)
        self.assertEqual(
            self.said,
            [
                "jobs: jobs.example.org has no address just now",
                "jobs: its names have addresses again",
            ],
        )

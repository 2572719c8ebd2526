"""Names and their addresses: looked up again and again, and kept when nobody answers."""

from __future__ import annotations

from tests.proxy.stage import ONE, TWO, PoolCase
from toolforge_gateway.config.backend import BackendLimits, UpstreamAddress
from toolforge_gateway.proxy.addressbook import MOST
from toolforge_gateway.proxy.upstream import IDLE_SECONDS

NAME = UpstreamAddress("jobs.example.org", 443)


class NameTests(PoolCase):
    """A backend with one name."""

    addresses = (NAME,)
    keys = {"dns_refresh": 30.0}

    def known(self) -> list[str]:
        return [each.address.host for each in self.pool.upstreams]

    def test_looked_up_when_needed(self) -> None:
        """Without `start` a name is looked up for the first request, once for all who wait."""
        self.assertEqual(self.network.asked, [])
        customers = [self.ask()[0] for _ in range(3)]
        self.assertEqual([name for name, _ in self.network.asked], ["jobs.example.org"])
        self.network.answer(["192.0.2.1"])
        self.assertEqual([each.where for each in self.network.dials], [ONE] * 3)
        for dial in self.network.dials:
            dial.establish()
        self.assertTrue(all(each.connection for each in customers))

    def test_looked_up_at_the_start(self) -> None:
        """With `start` it is looked up at once, and then every `dns_refresh` seconds."""
        self.network.names = {"jobs.example.org": ["192.0.2.1"]}
        self.pool.start()
        self.pool.start()
        self.assertEqual(self.known(), ["192.0.2.1"])
        self.advance(29)
        self.assertEqual(len(self.network.asked), 1)
        self.advance(1)
        self.assertEqual(len(self.network.asked), 2)

    def test_no_address(self) -> None:
        """A name without an address is told as such, and asked for anew by the next request."""
        for _ in range(2):
            customer, _ = self.ask()
            self.network.answer([])
            self.assertEqual(customer.reason, "backend-unreachable")
        self.assertEqual(self.pool.places.taken, 0)
        self.assertEqual(self.pool.figures().look_up_failures, 2)

    def test_no_answer(self) -> None:
        """A look-up that does not end takes no longer than a connection may; one who leaves is
        forgotten; the next ones wait for the same look-up."""
        customer, _ = self.ask()
        left, leaving = self.ask()
        leaving.cancel()
        self.advance(6)
        self.assertEqual((customer.reason, left.told), ("backend-connect-timeout", 0))
        self.ask()
        self.assertEqual(len(self.network.asked), 1)
        self.network.answer(["192.0.2.1"])
        self.assertEqual(len(self.network.dials), 1)

    def test_last_good_answer(self) -> None:
        """When look-ups fail the last good answer counts, and they are repeated, ever more rarely
        but not more rarely than always."""
        self.network.names = {"jobs.example.org": ["192.0.2.1", "192.0.2.2"]}
        self.pool.start()
        self.network.names = {"jobs.example.org": []}
        self.advance(30)
        self.assertEqual(self.known(), ["192.0.2.1", "192.0.2.2"])
        self.advance(3.5)
        self.assertEqual(len(self.network.asked), 4)
        self.advance(300)
        self.assertLess(len(self.network.asked), 18)
        self.assertEqual(self.known(), ["192.0.2.1", "192.0.2.2"])
        self.assertGreater(self.pool.figures().look_up_failures, 5)
        self.network.names = {"jobs.example.org": ["192.0.2.3"]}
        self.advance(30)
        self.assertEqual((self.known(), self.pool.figures().look_up_failures), (["192.0.2.3"], 0))

    def test_addresses_change(self) -> None:
        """An address that is gone gets no more requests: what was kept to it is closed, what runs
        goes on; one that stays keeps what it has; a new one is used."""
        self.network.names = {"jobs.example.org": ["192.0.2.1", "192.0.2.2"]}
        self.pool.start()
        busy = [self.borrow() for _ in range(2)]
        kept = [self.borrow() for _ in range(2)]
        for connection in kept:
            self.pool.put(connection)
        self.network.names = {"jobs.example.org": ["192.0.2.2", "192.0.2.3"]}
        self.advance(30)
        by_host = {each.upstream.address.host: each.transport.ended for each in kept}
        self.assertEqual(by_host, {"192.0.2.1": "closed", "192.0.2.2": ""})
        self.assertEqual([each.transport.ended for each in busy], ["", ""])
        hosts = {self.borrow().upstream.address.host for _ in range(8)}
        self.assertEqual(hosts, {"192.0.2.2", "192.0.2.3"})
        for connection in busy:
            self.pool.put(connection)
        by_host = {each.upstream.address.host: each.transport.ended for each in busy}
        self.assertEqual(by_host, {"192.0.2.1": "closed", "192.0.2.2": ""})

    def test_marks_of_what_is_gone(self) -> None:
        """A failure at an address that is gone counts nowhere, and ejects nothing."""
        self.network.names = {"jobs.example.org": ["192.0.2.1", "192.0.2.2"]}
        self.pool.start()
        connections = [self.borrow() for _ in range(2)]
        (gone,) = (c for c in connections if c.upstream.address == ONE)
        self.network.names = {"jobs.example.org": ["192.0.2.2"]}
        self.advance(30)
        for _ in range(5):
            self.pool.unanswered(gone, "backend-closed", "a test")
        self.assertEqual(gone.upstream.marks.failures, 0)
        self.assertEqual([each.state for each in self.pool.figures().addresses], ["up"])

    def test_sooner(self) -> None:
        """When no address takes a connection the name is looked up soon, and not for each
        request."""
        self.network.names = {"jobs.example.org": ["192.0.2.1"]}
        self.pool.start()
        self.advance(5)
        self.network.names = {"jobs.example.org": ["192.0.2.2"]}
        for _ in range(10):
            self.ask()
            self.network.dials[-1].refuse()
        self.advance(0)
        self.assertEqual(len(self.network.asked), 2)
        self.assertEqual(self.known(), ["192.0.2.2"])
        for _ in range(10):
            self.ask()
            self.network.dials[-1].refuse()
        self.advance(0.25)
        self.assertEqual(len(self.network.asked), 2)

    def test_many(self) -> None:
        """However many addresses a name has, only so many are used."""
        self.network.names = {"jobs.example.org": [f"2001:db8::{n:x}" for n in range(1, 1000)]}
        self.pool.start()
        self.assertEqual(len(self.pool.upstreams), MOST)

    def test_twice(self) -> None:
        """An address that comes twice is one."""
        self.network.names = {"jobs.example.org": ["192.0.2.1"] * 3}
        self.pool.start()
        self.assertEqual(self.known(), ["192.0.2.1"])

    def test_closed(self) -> None:
        """A closed pool looks nothing up by itself, not even when an answer comes late, but still
        for who needs it."""
        self.pool.start()
        self.pool.close()
        self.network.answer(["192.0.2.1"])
        self.assertEqual(self.network.getDelayedCalls(), [])
        former = self.pool_for(self.backend())
        former.close()
        self.pool = former
        customer, _ = self.ask()
        self.network.answer(["192.0.2.1"])
        self.network.dials[-1].establish()
        self.assertIsNotNone(customer.connection)
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_reload(self) -> None:
        """After a reload the last good answer still counts, so that a name server that fails just
        then takes no backend away."""
        self.network.names = {"jobs.example.org": ["192.0.2.1"]}
        self.pool.start()
        del self.network.names["jobs.example.org"]
        former, self.pool = self.pool, self.pool_for(self.backend())
        self.addCleanup(self.pool.close)
        self.pool.inherit(former)
        former.close()
        self.pool.start()
        customer, _ = self.ask()
        self.network.dials[-1].establish()
        self.assertIsNotNone(customer.connection)
        self.advance(31)
        self.assertEqual(len(self.network.asked), 2)

    def test_idle(self) -> None:
        """What is kept to an address of a name is closed in time like any other."""
        self.network.names = {"jobs.example.org": ["192.0.2.1"]}
        self.pool.start()
        connection = self.borrow()
        self.pool.put(connection)
        self.advance(IDLE_SECONDS)
        self.assertEqual(connection.transport.ended, "closed")


class CrowdTests(PoolCase):
    """A long queue before a name that is known not to exist."""

    addresses = (NAME,)
    keys = {"limits": BackendLimits(requests=1, queue=5000)}

    def test_one_after_the_other(self) -> None:
        """Where each one's turn is over at once all of them have theirs, however many."""
        customers = [self.ask()[0] for _ in range(5000)]
        self.network.names = {"jobs.example.org": []}
        self.network.answer([])
        self.assertEqual({each.reason for each in customers}, {"backend-unreachable"})
        self.assertEqual(self.pool.places.taken, 0)


class MixedTests(PoolCase):
    """Names and addresses in one list."""

    addresses = (TWO, NAME, UpstreamAddress("other.example.org", 8443))

    def test_together(self) -> None:
        """What needs no look-up is used at once, each name as soon as it is looked up; one that
        has no address takes none of the others away."""
        self.pool.start()
        self.assertEqual(self.borrow().upstream.address, TWO)
        self.network.answer(["192.0.2.1"], 0)
        self.assertEqual([each.address for each in self.pool.upstreams], [ONE, TWO])
        self.network.answer([], 1)
        self.assertEqual([each.address for each in self.pool.upstreams], [ONE, TWO])
        self.advance(1)
        self.network.answer(["192.0.2.1"], 2)
        self.network.answer(["192.0.2.1"], 3)
        self.assertEqual(
            [each.address for each in self.pool.upstreams],
            [ONE, UpstreamAddress("192.0.2.1", 8443), TWO],
        )


class NamesTests(PoolCase):
    """Several names, and nothing else."""

    addresses = (NAME, UpstreamAddress("other.example.org", 8443))

    def test_one_hangs(self) -> None:
        """Who waits has the first address that is found, though another name's look-up hangs."""
        customer, _ = self.ask()
        self.network.answer(["192.0.2.1"], 0)
        self.assertIs(self.network.dials[-1].establish(), customer.connection)

    def test_one_has_none(self) -> None:
        """A name without an address says nothing as long as another one may have some; when none
        has, who waits is told."""
        customer, _ = self.ask()
        self.network.answer([], 1)
        self.assertEqual(customer.told, 0)
        self.network.answer([], 0)
        self.assertEqual(customer.reason, "backend-unreachable")
        customer, _ = self.ask()
        self.network.answer([], 2)
        self.network.answer(["192.0.2.2"], 3)
        self.assertIs(self.network.dials[-1].establish(), customer.connection)

"""Which addresses get requests: ejection, return, active checks, and what a reload keeps."""

from __future__ import annotations

from tests.proxy.stage import ONE, THREE, TWO, Dial, PoolCase
from toolforge_gateway.config.backend import Checks
from toolforge_gateway.proxy.marks import FIRST, LONGEST, SPREAD
from toolforge_gateway.proxy.pool import Pool

MOST = FIRST * (1 + SPREAD)
"""Seconds that a first time out can have."""


class EjectionTests(PoolCase):
    addresses = (ONE, TWO)

    def targets(self, count: int = 20) -> set[object]:
        """Where so many requests go."""
        connections = [self.borrow() for _ in range(count)]
        for connection in connections:
            connection.abort()
        return {connection.upstream.address for connection in connections}

    def test_ejected(self) -> None:
        """An address that fails three times in a row gets no requests any more, and what was kept
        to it is closed."""
        self.spoil(ONE, 2)
        self.assertEqual(self.targets(), {ONE, TWO})
        self.assertEqual(self.state(ONE), "up")
        kept = [self.borrow() for _ in range(2)]
        for connection in kept:
            self.pool.put(connection)
        self.spoil(ONE, 3)
        self.assertEqual(self.state(ONE), "ejected")
        ended = {each.upstream.address: each.transport.ended for each in kept}
        self.assertEqual(ended[ONE], "closed")
        self.assertEqual(self.targets(), {TWO})

    def test_what_runs_goes_on(self) -> None:
        """A request under way at an ejected address is left alone; its connection is not kept."""
        connections = [self.borrow() for _ in range(2)]
        (there,) = (each for each in connections if each.upstream.address == ONE)
        self.spoil(ONE)
        self.assertEqual(there.transport.ended, "")
        self.pool.put(there)
        self.assertEqual(there.transport.ended, "closed")

    def test_never_the_last(self) -> None:
        """The last address is not ejected, however it fails."""
        self.spoil(ONE)
        self.spoil(TWO, 50)
        self.assertEqual((self.state(ONE), self.state(TWO)), ("ejected", "up"))
        self.assertEqual(self.targets(), {TWO})

    def test_last_one_and_another_comes_back(self) -> None:
        """The one that could not be spared is, once there is another one and it fails again."""
        self.spoil(ONE)
        self.spoil(TWO, 5)
        self.come_back(ONE)
        self.assertEqual((self.state(ONE), self.state(TWO)), ("up", "up"))
        self.spoil(TWO, 1)
        self.assertEqual((self.state(ONE), self.state(TWO)), ("up", "ejected"))

    def come_back(self, address: object) -> Dial:
        """The time out ends, and the address takes the gateway's own connection."""
        before = len(self.network.dials)
        self.advance(MOST)
        (probe,) = self.network.dials[before:]
        self.assertEqual(probe.where, address)
        probe.establish()
        return probe

    def test_return(self) -> None:
        """When the time is over the gateway connects by itself, with nothing to say; then requests
        go there again."""
        self.spoil(ONE)
        probe = self.come_back(ONE)
        self.assertEqual(self.network.built[probe.number].transport.value(), b"")
        self.assertEqual(self.network.built[probe.number].transport.ended, "closed")
        self.assertEqual(self.state(ONE), "up")
        self.assertEqual(self.targets(), {ONE, TWO})
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_no_return(self) -> None:
        """While that fails the time is longer each time, and requests never go there."""
        self.spoil(ONE)
        waits, since = [], self.network.seconds()
        for _ in range(8):
            before = len(self.network.dials)
            for _ in range(1000):
                if len(self.network.dials) > before:
                    break
                self.advance(0.25)
            waits.append(self.network.seconds() - since)
            since = self.network.seconds()
            self.network.dials[-1].refuse()
            self.assertEqual(self.targets(4), {TWO})
        self.assertGreater(waits[3], 4 * waits[0] * (1 - SPREAD) / (1 + SPREAD))
        self.assertLess(max(waits), LONGEST * (1 + SPREAD) + 1)
        (figures, _) = self.pool.figures().addresses
        self.assertEqual((figures.state, figures.all_ejections), ("ejected", 9))

    def test_silent_on_return(self) -> None:
        """An address that swallows the gateway's own attempt stays spared."""
        self.spoil(ONE)
        self.advance(MOST + 7)
        self.assertEqual(self.state(ONE), "ejected")
        self.assertFalse(self.network.dials[0].wanted)

    def test_one_failure_after_return(self) -> None:
        """After its return one more failure is enough, and an answer makes it as good as new."""
        self.spoil(ONE)
        self.come_back(ONE)
        self.spoil(ONE, 1)
        self.assertEqual(self.state(ONE), "ejected")
        self.advance(2 * MOST)
        self.network.dials[-1].establish()
        connection = next(c for c in iter(self.borrow, None) if c.upstream.address == ONE)
        self.pool.answered(connection)
        self.spoil(ONE, 2)
        self.assertEqual(self.state(ONE), "up")

    def test_kept_connection_tells_of_an_answer(self) -> None:
        """A connection that comes back after a whole answer ends a row of failures too."""
        connection = self.borrow()
        address = connection.upstream.address
        self.spoil(address, 2)
        self.pool.put(connection)
        self.spoil(address, 2)
        self.assertEqual(self.state(address), "up")

    def test_slow_by_nature(self) -> None:
        """Requests without an answer in time say nothing of an address that has answered others
        meanwhile; three in a row that were alone with it do, and so do three of another kind."""
        slow = [self.borrow() for _ in range(12)]
        address = slow[0].upstream.address
        there = [each for each in slow if each.upstream.address == address]
        self.assertGreaterEqual(len(there), 4)
        began = self.network.seconds()
        self.advance(30)
        self.pool.put(there.pop())
        self.advance(30)
        for each in there:
            self.pool.unanswered(each, "backend-timeout", "a test", began)
        self.assertEqual(self.state(address), "up")
        for each in there:
            self.pool.unanswered(each, "backend-timeout", "a test", began + 31)
        self.assertEqual(self.state(address), "ejected")

    def test_spared_is_better_than_nothing(self) -> None:
        """When the others take no connection a spared address is tried as well."""
        self.spoil(ONE)
        customer, _ = self.ask()
        self.network.dials[-1].refuse()
        self.assertEqual(self.network.dials[-1].where, ONE)
        self.network.dials[-1].establish()
        self.assertIsNotNone(customer.connection)

    def test_closed(self) -> None:
        """A closed pool tries nothing by itself, and judges no more."""
        self.spoil(ONE)
        self.pool.close()
        self.assertEqual(self.network.getDelayedCalls(), [])
        self.spoil(TWO)
        self.assertEqual(self.pool.upstreams[1].marks.failures, 0)

    def next_pool(self, **keys: object) -> Pool:
        """What a reload makes of it."""
        former, self.pool = self.pool, self.pool_for(self.backend(**keys))
        self.addCleanup(self.pool.close)
        self.pool.inherit(former)
        former.close()
        self.pool.start()
        return former

    def test_reload(self) -> None:
        """After a reload an ejected address is still spared, and comes back when it would have."""
        self.spoil(ONE)
        self.spoil(TWO, 1)
        self.next_pool()
        self.assertEqual(self.targets(), {TWO})
        self.assertEqual(self.pool.figures().addresses[1].failures, 1)
        self.come_back(ONE)
        self.assertEqual(self.targets(), {ONE, TWO})

    def test_reload_with_other_addresses(self) -> None:
        """What is known of an address goes with the address."""
        self.spoil(ONE)
        self.next_pool(addresses=(TWO, THREE))
        self.assertEqual(self.targets(), {TWO, THREE})
        self.next_pool(addresses=(ONE,))
        self.assertEqual((self.targets(), self.state(ONE)), ({ONE}, "up"))

    def test_what_runs_during_a_reload(self) -> None:
        """A request of the former configuration fails without a say in the new one."""
        connection = self.borrow()
        former = self.next_pool()
        for _ in range(5):
            former.unanswered(connection, "backend-closed", "a test")
        self.assertEqual(self.state(connection.upstream.address), "up")
        former.put(connection)
        self.assertEqual(connection.transport.ended, "closed")
        self.assertEqual((former.open, former.places.taken), (0, 0))


class ChecksTests(PoolCase):
    """Active checks, in so far as one can see them between fakes."""

    addresses = (ONE, TWO)
    keys = {"checks": Checks(path="/v1/healthz", interval=10, timeout=2, good=2, bad=3)}

    def setUp(self) -> None:
        super().setUp()
        self.seen = 0
        self.pool.start()

    def checks(self, **answers: str) -> list[bytes]:
        """A round of checks; `one` and `two` say how the addresses answer."""
        asked = []
        target = self.network.seconds() + 10
        while self.network.seconds() < target:
            self.advance(0)
            for dial in self.network.dials[self.seen :]:
                self.seen += 1
                answer = answers["one" if dial.where == ONE else "two"]
                if answer == "refuse":
                    dial.refuse()
                elif answer:
                    connection = dial.establish()
                    asked.append(connection.transport.value())
                    connection.dataReceived(answer.encode())
        return asked

    GOOD = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    BAD = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"

    def test_question(self) -> None:
        """Each address is asked once in an interval, under the backend's name and without an
        identity."""
        asked = self.checks(one=self.GOOD, two=self.GOOD)
        self.assertEqual(len(asked), 2)
        head, _, rest = asked[0].partition(b"\r\n")
        self.assertEqual(head, b"GET /v1/healthz HTTP/1.1")
        self.assertIn(b"Host: jobs:1\r\n", rest)
        self.assertNotIn(b"X-Toolforge", rest)
        self.assertEqual((self.pool.open, self.pool.places.taken), (0, 0))

    def test_bad_and_good_again(self) -> None:
        """After `bad` bad checks in a row an address is not used, after `good` good ones it is;
        what kind of bad it is does not matter."""
        for bad in (self.BAD, "refuse", "HTTP/1.1 nonsense\r\n\r\n"):
            self.assertEqual(self.state(ONE), "up")
            self.checks(one=bad, two=self.GOOD)
        self.assertEqual((self.state(ONE), self.state(TWO)), ("failing-checks", "up"))
        for _ in range(5):
            connection = self.borrow()
            self.assertEqual(connection.upstream.address, TWO)
            connection.abort()
        self.seen = len(self.network.dials)
        self.checks(one=self.GOOD, two=self.GOOD)
        self.assertEqual(self.state(ONE), "failing-checks")
        self.checks(one=self.GOOD, two=self.GOOD)
        self.assertEqual(self.state(ONE), "up")

    def test_silence(self) -> None:
        """A check that is not answered in time is a bad one, and its connection ends."""
        for _ in range(3):
            self.checks(one="HTTP/1.1 100 Continue\r\n\r\n", two=self.GOOD)
        self.advance(2)
        self.assertEqual(self.state(ONE), "failing-checks")
        figures = self.pool.figures().addresses[0]
        self.assertEqual(figures.last_error, "backend-timeout")
        there = [each for each in self.network.built if each.upstream.address == ONE]
        self.assertEqual({each.transport.ended for each in there[:3]}, {"aborted"})

    def test_large_answer(self) -> None:
        """An answer that does not come to an end is judged by its head, and cut."""
        endless = "HTTP/1.1 200 OK\r\n\r\n" + "x" * 100_000
        self.checks(one=endless, two=endless)
        self.assertEqual((self.state(ONE), self.pool.open), ("up", 0))
        self.assertIsNotNone(self.pool.figures().addresses[0].checked_at)

    def test_all_bad(self) -> None:
        """When all fail their checks all are used."""
        for _ in range(3):
            self.checks(one=self.BAD, two=self.BAD)
        self.assertEqual({self.state(ONE), self.state(TWO)}, {"failing-checks"})
        connections = [self.borrow() for _ in range(10)]
        self.assertEqual({each.upstream.address for each in connections}, {ONE, TWO})
        for each in connections:
            self.pool.put(each)
        self.assertEqual(sum(len(each.idle) for each in self.pool.upstreams), 10)

    def test_not_counted_as_requests(self) -> None:
        """Checks that pass do not hide that requests fail: the address is ejected all the same,
        and comes back by a check."""
        self.spoil(ONE, 2)
        self.checks(one=self.GOOD, two=self.GOOD)
        self.spoil(ONE, 1)
        self.assertEqual(self.state(ONE), "ejected")
        self.checks(one=self.GOOD, two=self.GOOD)
        self.assertEqual(self.state(ONE), "up")

    def test_reload(self) -> None:
        """An address that fails its checks is spared after a reload too, if the checks are the
        same."""
        for _ in range(3):
            self.checks(one=self.BAD, two=self.GOOD)
        for keys, state in (({}, "failing-checks"), ({"checks": None}, "up")):
            former, self.pool = self.pool, self.pool_for(self.backend(**keys))
            self.addCleanup(self.pool.close)
            self.pool.inherit(former)
            former.close()
            self.assertEqual(self.state(ONE), state)

    def test_refresh(self) -> None:
        """What is known of the addresses stays when our certificate is another one: who fails
        checks, who is spared and until when; checks go on."""
        self.spoil(ONE)
        self.pool.refresh()
        self.assertEqual((self.state(ONE), self.state(TWO)), ("ejected", "up"))
        self.seen = len(self.network.dials)
        for _ in range(3):
            self.checks(one=self.BAD, two=self.GOOD)
        checked_at = self.pool.figures().addresses[0].checked_at
        self.pool.refresh()
        self.assertEqual((self.state(ONE), self.state(TWO)), ("failing-checks", "up"))
        self.assertEqual(self.pool.figures().addresses[0].checked_at, checked_at)
        self.seen = len(self.network.dials)
        for _ in range(3):
            self.checks(one=self.GOOD, two=self.GOOD)
        self.assertEqual((self.state(ONE), self.state(TWO)), ("up", "up"))

    def test_closed(self) -> None:
        """Closing ends a check that is under way, and there are no more."""
        while not any(dial.wanted for dial in self.network.dials):
            self.advance(0)
        next(dial for dial in self.network.dials if dial.wanted).accept()
        self.pool.close()
        self.assertEqual((self.pool.open, self.network.getDelayedCalls()), (0, []))

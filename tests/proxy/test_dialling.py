"""From address to address, and the queue before that."""

from __future__ import annotations

from twisted.internet.error import NoRouteError
from zope.interface.verify import verifyObject

from tests.proxy.stage import LIMITED, ONE, THREE, TWO, Customer, PoolCase
from toolforge_gateway.config.backend import BackendLimits, UpstreamAddress
from toolforge_gateway.proxy.attempt import Attempt
from toolforge_gateway.proxy.connection import UpstreamConnection
from toolforge_gateway.proxy.dialling import ATTEMPTS, Dialling
from toolforge_gateway.proxy.interfaces import IBorrower
from toolforge_gateway.proxy.pool import Pool


class OneAddressTests(PoolCase):
    """A backend with one address."""

    def test_interface(self) -> None:
        """An attempt is what a connection expects of its borrower."""
        verifyObject(IBorrower, Attempt(self.pool, self.pool.upstreams[0], print, print))

    def test_connected(self) -> None:
        """The customer has the connection once TCP and TLS are there, and not before."""
        customer, _ = self.ask()
        connection = self.network.dials[0].accept()
        self.assertEqual(customer.told, 0)
        connection.handshakeCompleted()
        self.assertIs(customer.connection, connection)
        self.assertIs(connection.current, customer)
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_reasons(self) -> None:
        """Each way to fail has its reason, and leaves nothing open."""
        for reason, fail in {
            "backend-refused": lambda dial: dial.refuse(),
            "backend-unreachable": lambda dial: dial.refuse(NoRouteError()),
            "backend-connect-timeout": lambda dial: self.advance(6),
            "backend-tls": lambda dial: dial.accept().transport.abortConnection(),
        }.items():
            customer, _ = self.ask()
            fail(self.network.dials[-1])
            self.assertEqual((customer.reason, customer.told), (reason, 1))
            self.assertEqual((self.pool.open, self.pool.places.taken), (0, 0), reason)
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_silence_in_the_handshake(self) -> None:
        """TCP alone is not enough: TLS that does not come to its end is given up in time."""
        customer, _ = self.ask()
        connection = self.network.dials[0].accept()
        self.advance(6)
        self.assertEqual(customer.reason, "backend-connect-timeout")
        self.assertEqual(connection.transport.ended, "aborted")
        self.assertEqual((self.pool.open, self.pool.places.taken), (0, 0))

    def test_cancelled(self) -> None:
        """Who leaves hears nothing more, and nothing stays open, wherever it had got to."""
        for accept in (False, True):
            customer, dialling = self.ask()
            dial = self.network.dials[-1]
            connection = dial.accept() if accept else None
            dialling.cancel()
            dialling.cancel()
            if connection is None:
                self.assertFalse(dial.wanted)
            else:
                self.assertEqual(connection.transport.ended, "aborted")
            self.assertEqual(customer.told, 0)
            self.assertEqual((self.pool.open, self.pool.places.taken), (0, 0))
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_never_spared(self) -> None:
        """The only address is dialled however often it has failed."""
        for _ in range(20):
            customer, _ = self.ask()
            self.network.dials[-1].refuse()
            self.assertEqual(customer.reason, "backend-refused")
        self.assertEqual(self.state(ONE), "up")
        (figures,) = self.pool.figures().addresses
        self.assertEqual((figures.failures, figures.last_error), (20, "backend-refused"))


class SeveralTests(PoolCase):
    """A backend with several addresses."""

    addresses = (ONE, TWO, THREE, UpstreamAddress("2001:db8::4", 8443))

    def test_next_address(self) -> None:
        """An address that takes no connection, or no TLS, is followed by another one; the customer
        hears of the good one alone."""
        customer, _ = self.ask()
        self.network.dials[0].refuse()
        self.network.dials[1].accept().transport.abortConnection()
        connection = self.network.dials[2].establish()
        self.assertEqual((customer.connection, customer.told), (connection, 1))
        self.assertEqual(len({each.where for each in self.network.dials}), 3)
        self.assertEqual((self.pool.open, self.pool.places.taken), (1, 1))

    def test_not_for_ever(self) -> None:
        """After so many addresses the customer is told, with the last one's reason."""
        customer, _ = self.ask()
        for n in range(ATTEMPTS):
            self.assertEqual(customer.told, 0)
            self.network.dials[n].refuse()
        self.assertEqual((customer.reason, customer.told), ("backend-refused", 1))
        self.assertEqual(len(self.network.dials), ATTEMPTS)
        self.assertEqual((self.pool.open, self.pool.places.taken), (0, 0))

    def test_shares_of_the_time(self) -> None:
        """One that swallows everything has half of the time that is left; all of them together no
        more than `timeouts.connect`."""
        customer, _ = self.ask()
        self.advance(2.5)
        self.assertEqual(len(self.network.dials), 1)
        self.advance(1)
        self.assertEqual([each.wanted for each in self.network.dials], [False, True])
        self.advance(3)
        self.assertEqual(customer.reason, "backend-connect-timeout")
        self.assertEqual((self.pool.open, self.pool.places.taken), (0, 0))

    def test_address_of_version_six(self) -> None:
        """An IPv6 address is dialled as one."""
        for _ in range(4):
            self.ask()
        self.assertIn(UpstreamAddress("2001:db8::4", 8443), [d.where for d in self.network.dials])


class QueueTests(PoolCase):
    """A backend with two places, and two in the queue."""

    keys = {"limits": LIMITED}

    def test_bound(self) -> None:
        """No more connections than places; two more wait; the next one is told at once."""
        self.borrow()
        self.ask()  # is dialling, which takes a place as well
        waiting = [self.ask()[0] for _ in range(2)]
        turned_away, _ = self.ask()
        self.assertEqual(len(self.network.dials), 2)
        self.assertEqual((turned_away.reason, turned_away.told), ("backend-busy", 1))
        self.assertEqual([each.told for each in waiting], [0, 0])
        figures = self.pool.figures()
        self.assertEqual((figures.taken, figures.queued, figures.turned_away), (2, 2, 1))

    def test_handed_on(self) -> None:
        """Who waits first has the connection that comes back first, without a dial."""
        first, second = self.borrow(), self.borrow()
        one, other = self.ask()[0], self.ask()[0]
        second.read_on(False)
        self.pool.put(second)
        self.assertIs(one.connection, second)
        self.assertIs(second.current, one)
        self.assertEqual(second.transport.producerState, "producing")
        self.pool.put(first)
        self.assertIs(other.connection, first)
        self.assertEqual(len(self.network.dials), 2)
        self.assertEqual((self.pool.places.taken, self.pool.figures().queued), (2, 0))
        self.pool.put(first)
        self.assertIs(self.pool.take(), first)

    def test_place_of_a_lost_connection(self) -> None:
        """A connection that ends, or that has something to say when it is handed on, leaves its
        place to who waits first, who dials."""
        for quiet in (True, False):
            connection = self.borrow()
            other = self.borrow()
            customer, _ = self.ask()
            if quiet:
                connection.abort()
            else:
                connection.transport.quiet = False
                self.pool.put(connection)
            self.assertEqual(customer.told, 0)
            self.assertIs(self.network.dials[-1].establish(), customer.connection)
            self.assertEqual((self.pool.open, self.pool.places.taken), (2, 2))
            for each in (customer.connection, other):
                each.abort()
        self.assertEqual((self.pool.open, self.pool.places.taken), (0, 0))

    def test_place_of_a_failed_dial(self) -> None:
        """A dial that fails leaves its place to who waits first."""
        self.borrow()
        failing, _ = self.ask()
        customer, _ = self.ask()
        self.network.dials[-1].refuse()
        self.assertEqual((failing.reason, customer.told), ("backend-refused", 0))
        self.assertIs(self.network.dials[-1].establish(), customer.connection)

    def test_waits_in_vain(self) -> None:
        """Who has waited for `timeouts.queue` is told so, and its connect time has not begun
        before."""
        first, _ = self.borrow(), self.borrow()
        customer, _ = self.ask()
        self.advance(2)
        later, _ = self.ask()
        self.advance(2)
        self.assertEqual((customer.reason, customer.told), ("backend-queue-timeout", 1))
        self.assertEqual(self.pool.figures().waited_in_vain, 1)
        first.abort()
        self.advance(5)  # timeouts.connect is 6
        self.assertEqual(later.told, 0)
        self.network.dials[-1].establish()
        self.assertIsNotNone(later.connection)

    def test_leaves_the_queue(self) -> None:
        """Who leaves while waiting makes room, and is handed nothing."""
        first, _ = self.borrow(), self.borrow()
        _, leaving = self.ask()
        customer, _ = self.ask()
        leaving.cancel()
        self.assertEqual(self.pool.figures().queued, 1)
        self.pool.put(first)
        self.assertIs(customer.connection, first)
        self.advance(10)
        self.assertEqual(self.pool.places.taken, 2)

    def test_closed_with_a_queue(self) -> None:
        """A pool that was closed still serves those who wait, and then keeps nothing."""
        first, second = self.borrow(), self.borrow()
        customer, _ = self.ask()
        self.pool.close()
        self.pool.put(first)
        self.assertEqual(first.transport.ended, "closed")
        third = self.network.dials[-1].establish()
        self.assertIs(customer.connection, third)
        for each in (second, third):
            self.pool.put(each)
        self.assertEqual((second.transport.ended, third.transport.ended), ("closed", "closed"))
        self.assertEqual((self.pool.open, self.pool.places.taken), (0, 0))
        self.assertEqual(self.network.getDelayedCalls(), [])

    def reload(self, **keys: object) -> Pool:
        """The configuration is another one; the pool of before."""
        former, self.pool = self.pool, self.pool_for(self.backend(**keys))
        self.addCleanup(self.pool.close)
        self.pool.inherit(former)
        former.close()
        return former

    def test_reload(self) -> None:
        """What the pool of the configuration before still has counts towards the bound of the next
        one; who waits there is served before who comes now, and no connection goes over."""
        busy, also_busy = self.borrow(), self.borrow()
        early, _ = self.ask()
        former = self.reload()
        late, _ = self.ask()
        self.assertEqual(self.ask()[0].reason, "backend-busy")
        self.assertEqual((len(self.network.dials), self.pool.figures().queued), (2, 2))
        for connection, customer in ((busy, early), (also_busy, late)):
            self.assertEqual(customer.told, 0)
            former.put(connection)
            self.assertEqual(connection.transport.ended, "closed")
            self.assertIs(self.network.dials[-1].establish(), customer.connection)
        former.put(early.connection)
        self.pool.put(late.connection)
        self.assertIs(self.pool.take(), late.connection)
        self.assertEqual((self.pool.open, self.pool.places.taken, former.open), (1, 1, 0))

    def test_reload_with_idle_ones(self) -> None:
        """What the pool before has only kept takes no place away."""
        kept = [self.borrow(), self.borrow()]
        for each in kept:
            self.pool.put(each)
        self.reload(limits=BackendLimits(requests=2, queue=0))
        self.assertEqual([self.ask()[0].told for _ in range(2)], [0, 0])
        self.assertEqual(len(self.network.dials), 4)

    def test_reload_with_other_limits(self) -> None:
        """A higher bound counts at once, for those who wait too; a lower one for those who come,
        and nobody who is served or waits is sent away."""
        self.borrow()
        self.borrow()
        waiting = [self.ask()[0] for _ in range(2)]
        self.reload(limits=BackendLimits(requests=3, queue=2))
        self.assertIs(self.network.dials[-1].establish(), waiting[0].connection)
        self.assertEqual(waiting[1].told, 0)
        self.reload(limits=BackendLimits(requests=1, queue=0))
        self.assertEqual(self.ask()[0].reason, "backend-busy")
        figures = self.pool.figures()
        self.assertEqual((figures.limit, figures.taken, figures.queued), (1, 3, 1))
        self.assertEqual((figures.turned_away, waiting[1].told), (1, 0))

    def test_crowd(self) -> None:
        """A thousand who come, fail, leave and come back leave no place taken."""
        under_way = []
        for n in range(1000):
            customer, dialling = self.ask()
            under_way.append((customer, dialling))
            roll = self.random.randrange(5)
            dials = [each for each in self.network.dials[-3:] if each.wanted]
            if roll == 0 and dials and customer.told == 0:
                dialling.cancel()
            elif roll == 1:
                self.advance(self.random.random() * 6)
            elif roll == 2:
                busy = [c.connection for c, _ in under_way if c.connection is not None]
                for connection in busy:
                    if not connection.transport.ended and connection.current is not None:
                        self.pool.put(connection)
            self.assertLessEqual(self.pool.open, 2, n)
            self.assertLessEqual(self.pool.figures().queued, 2, n)
        self.advance(60)
        for customer, dialling in under_way:
            dialling.cancel()
            if customer.connection is not None and not customer.connection.transport.ended:
                customer.connection.abort()
        self.advance(60)
        self.assertEqual((self.pool.open, self.pool.places.taken), (0, 0))
        self.assertTrue(all(customer.told <= 1 for customer, _ in under_way))
        self.assertEqual(self.network.getDelayedCalls(), [])


class NoQueueTests(PoolCase):
    """A backend with no queue."""

    keys = {"limits": BackendLimits(requests=1, queue=0)}

    def test_at_once(self) -> None:
        """Nobody waits, and a kept connection is still used."""
        connection = self.borrow()
        self.assertEqual(self.ask()[0].reason, "backend-busy")
        self.pool.put(connection)
        self.assertIs(self.pool.take(), connection)

    def test_place_of_a_dying_connection(self) -> None:
        """A connection leaves its place as soon as it is ended, before the reactor has come round
        to closing it: who comes next is not turned away for its sake."""
        for end in ("close", "abort", "dead"):
            connection = self.borrow()
            # The reactor tells of it in a later turn.
            self.patch(connection.transport, "_end", lambda how: None)
            if end == "dead":
                self.pool.put(connection)
                connection.transport.quiet = False
            else:
                getattr(connection, end)()
            customer, _ = self.ask()
            self.assertEqual(customer.told, 0, end)
            connection.connectionLost()
            self.network.dials[-1].establish().abort()
            self.assertEqual((self.pool.open, self.pool.places.taken), (0, 0))


class PlacesOfOthersTests(PoolCase):
    """Two addresses that share two places."""

    addresses = (ONE, TWO)
    keys = {"limits": LIMITED}

    def test_kept_elsewhere(self) -> None:
        """When all places are taken and one by a kept connection, that one is used, to whichever
        address it leads."""
        for _ in range(20):
            first, second = self.borrow(), self.borrow()
            self.pool.put(first)
            # It may be drawn, or not: then `dial` finds it.
            customer = None
            connection = self.pool.take()
            if connection is None:
                customer, _ = self.ask()
                connection = customer.connection
            self.assertIs(connection, first)
            self.assertEqual(self.pool.places.taken, 2)
            for each in (first, second):
                each.abort()


class ChangesTests(PoolCase):
    """All that can happen to a pool, in any order."""

    addresses = (ONE, UpstreamAddress("jobs.example.org", 443))
    keys = {"limits": BackendLimits(requests=6, queue=4)}

    def test_any_order(self) -> None:
        """Whoever comes, fails, leaves and comes back while names lead elsewhere, certificates are
        replaced and configurations taken up: nobody is told twice or has another pool's connection,
        nobody waits where there is room, and in the end no place is taken and nothing open."""
        for seed in range(10):
            self.random.seed(seed)
            self.turbulence(seed)

    def turbulence(self, seed: int) -> None:
        network, chance = self.network, self.random
        network.names = {"jobs.example.org": ["192.0.2.2"]}
        pool = self.pool_for(self.backend())
        pool.start()
        pools = [pool]
        asked: list[tuple[Pool, Customer, Dialling]] = []
        before, answered = len(network.dials), set()

        def in_use() -> list[UpstreamConnection]:
            return [
                customer.connection
                for _, customer, _ in asked
                if customer.connection is not None
                and not customer.connection.transport.ended
                and customer.connection.current is customer
            ]

        def ask() -> None:
            for _ in range(chance.randrange(1, 4)):
                customer = Customer()
                connection = pool.take()
                if connection is not None:
                    connection.current = customer
                    customer.connected(connection)
                    asked.append((pool, customer, None))
                else:
                    asked.append((pool, customer, pool.dial(customer, self.timeouts)))

        def network_answers() -> None:
            for dial in network.dials[before:]:
                if dial.wanted and dial.number not in answered and chance.random() < 0.7:
                    answered.add(dial.number)
                    chance.choice([dial.establish, dial.establish, dial.refuse])()

        def exchanges_end() -> None:
            for connection in in_use():
                owner = connection._pool
                match chance.randrange(5):
                    case 0:
                        connection.abort()
                    case 1:
                        connection.connectionLost()
                        connection.transport.ended = "by the other end"
                    case 2 | 3:
                        connection.transport.quiet = chance.random() < 0.8
                        owner.put(connection)

        def leave() -> None:
            for _, customer, dialling in asked:
                if dialling is not None and not customer.told and chance.random() < 0.3:
                    dialling.cancel()

        def reload() -> None:
            nonlocal pool
            limits = BackendLimits(chance.randrange(1, 8), chance.randrange(4))
            former, pool = pool, self.pool_for(self.backend(limits=limits))
            pool.inherit(former)
            former.close()
            pool.start()
            pools.append(pool)

        def refresh() -> None:
            pool.refresh()

        def names() -> None:
            network.names = {
                "jobs.example.org": chance.sample(
                    ["192.0.2.2", "192.0.2.3", "192.0.2.4"], chance.randrange(3)
                )
            }

        steps = [ask, ask, ask, network_answers, network_answers, exchanges_end, leave, names]
        steps += [reload, refresh, lambda: self.advance(chance.random() * 8)]
        for _ in range(120):
            chance.choice(steps)()
            figures = pool.figures()
            self.assertTrue(all(customer.told <= 1 for _, customer, _ in asked), seed)
            self.assertGreaterEqual(figures.taken, len(in_use()), seed)
            if figures.queued:
                self.assertGreaterEqual(figures.taken, figures.limit, seed)
            for owner, customer, _ in asked:
                if customer.connection is not None:
                    self.assertIs(customer.connection._pool, owner, seed)
        for each in pools:
            each.close()
        for _, _, dialling in asked:
            if dialling is not None:
                dialling.cancel()
        for connection in in_use():
            connection.abort()
        self.advance(60)
        self.assertEqual((pool.places.taken, pool.figures().queued), (0, 0), seed)
        self.assertEqual([each for each in network.built if not each.transport.ended], [], seed)
        self.assertEqual({each.upstream.open for each in network.built}, {0}, seed)

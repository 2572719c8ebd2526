"""Many who are connected when the rules change."""

from __future__ import annotations

import attrs

from tests.edge.test_connection import ServedCase
from toolforge_gateway.edge.examining import AT_ONCE

REQUEST = b"GET /nope HTTP/1.1\r\nHost: a\r\n\r\n"


class ExaminingTests(ServedCase):
    def setUp(self) -> None:
        """So many that they are not examined in one turn, and how often each was."""
        super().setUp()
        self.connection.connectionLost()
        self.clients = [self.connect() for _ in range(3 * AT_ONCE)]
        self.examined = 0
        identify = self.server.identify

        def counting(*args):
            self.examined += 1
            return identify(*args)

        self.patch(self.server, "identify", counting)

    def require_certificates(self) -> None:
        shared, listener, *others = self.rules
        tls = attrs.evolve(listener.tls, client_certificate="required")
        self.server.adopt(shared, attrs.evolve(listener, tls=tls), *others)

    def unexamined(self):
        """One whose turn has not come."""
        return next(each for each in self.clients if each[0].is_outdated)

    def test_in_turns(self) -> None:
        """A few are examined at once and the others in the next turns, each once, though the rules
        change again; nobody who has left meanwhile."""
        self.require_certificates()
        self.assertEqual(self.examined, AT_ONCE)
        self.unexamined()[0].connectionLost()
        self.require_certificates()
        self.assertEqual(self.examined, AT_ONCE)
        self.clock.advance(0)
        self.assertEqual(self.examined, AT_ONCE + len(self.server.connections))
        self.assertEqual(self.clock.getDelayedCalls(), [self.sweep()])
        self.pass_time(6)
        ended = [transport.ended for connection, transport in self.clients if transport.ended]
        self.assertEqual(len(ended), 3 * AT_ONCE - 1)

    def sweep(self):
        """The timer of all deadlines."""
        return self.clock.getDelayedCalls()[0]

    def test_before_the_next_request(self) -> None:
        """Who asks before their turn has come is examined then, and served by the new rules."""
        self.require_certificates()
        connection, transport = self.unexamined()
        connection.dataReceived(REQUEST)
        self.assertIn(b"\r\nConnection: close\r\n", transport.written)
        self.assertEqual((self.examined, transport.ended), (AT_ONCE + 1, ["lose"]))

    def test_other_authorities(self) -> None:
        """So it is when certificates are judged by something else; who is still good stays."""
        self.server.examine_again()
        self.assertEqual(self.examined, AT_ONCE)
        connection, transport = self.unexamined()
        connection.dataReceived(REQUEST)
        self.assertEqual(self.examined, AT_ONCE + 1)
        connection.dataReceived(REQUEST)
        self.assertEqual((self.examined, transport.ended), (AT_ONCE + 1, []))
        self.clock.advance(0)
        self.assertEqual(self.examined, 3 * AT_ONCE)
        self.assertNotIn(b"Connection: close", transport.written)

    def test_one_breaks(self) -> None:
        """One that breaks is ended, and the others are examined all the same; it never goes on by
        the former rules."""
        self.require_certificates()
        connection, transport = self.unexamined()
        identify = self.server.identify

        def breaks(transport, caller):
            self.server.identify = identify
            raise ZeroDivisionError

        self.server.identify = breaks
        self.assertRaises(ZeroDivisionError, connection.dataReceived, REQUEST)
        self.assertEqual((transport.written, connection.is_outdated), (b"", True))
        self.server.identify = breaks
        self.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual([transport.ended for _, transport in self.clients].count(["abort"]), 1)
        self.assertEqual(self.examined, 3 * AT_ONCE - 1)

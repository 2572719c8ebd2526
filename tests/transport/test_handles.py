"""OpenSSL by its handles does what pyOpenSSL does, on the oldest and the newest."""

from __future__ import annotations

import socket

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.clients.stage import pki
from toolforge_gateway.transport import handles


def context(certificate: str) -> SSL.Context:
    made = SSL.Context(SSL.TLS_METHOD)
    made.set_mode(2)  # a write may be tried again from other memory, as in `tls.options`
    made.use_certificate_file(str(pki() / f"{certificate}.crt"))
    made.use_privatekey_file(str(pki() / f"{certificate}.key"))
    return made


class Pairs(SynchronousTestCase):
    """Ends of TLS connections in one process."""

    def pair(self) -> tuple[SSL.Connection, SSL.Connection, tuple[socket.socket, socket.socket]]:
        """A server's end, a client's end, and their sockets, after the handshake."""
        ends = socket.socketpair()
        for end in ends:
            end.setblocking(False)
            self.addCleanup(end.close)
        server = SSL.Connection(context("server"), ends[0])
        server.set_accept_state()
        client = SSL.Connection(context("tool-tf-test"), ends[1])
        client.set_connect_state()
        done: set[SSL.Connection] = set()
        while len(done) < 2:
            for connection in (client, server):
                try:
                    connection.do_handshake()
                    done.add(connection)
                except SSL.WantReadError:
                    pass
        # What comes after a handshake, such as tickets, is no record of anybody's.
        self.assertRaises(SSL.WantReadError, handles.receive, client)
        return server, client, ends


class HandleTests(Pairs):
    def setUp(self):
        self.server, self.client, self.sockets = self.pair()

    def test_there_and_back(self):
        """What is sent is received, record by record."""
        data = bytes(range(256)) * 64
        self.assertEqual(handles.send(self.client, data), len(data))
        self.assertEqual(handles.send(self.client, b"more"), 4)
        self.assertEqual(handles.receive(self.server), data)
        self.assertEqual(handles.receive(self.server), b"more")

    def test_nothing_there(self):
        """Nothing to read is `WantReadError`, and disturbs nothing."""
        self.assertRaises(SSL.WantReadError, handles.receive, self.server)
        handles.send(self.client, b"x")
        self.assertEqual(handles.receive(self.server), b"x")

    def test_no_room(self):
        """A socket that takes no more is `WantWriteError`; what was taken arrives whole."""
        sent = 0
        with self.assertRaises(SSL.WantWriteError):
            while True:
                sent += handles.send(self.client, b"x" * handles.RECORD)
        received = 0
        while received < sent:
            received += len(handles.receive(self.server))
        self.assertEqual(received, sent)

    def test_ends(self):
        """close_notify is `ZeroReturnError`."""
        self.client.shutdown()
        self.assertRaises(SSL.ZeroReturnError, handles.receive, self.server)

    def test_cut(self):
        """An end without it is `SysCallError`."""
        self.sockets[1].close()
        self.assertRaises(SSL.SysCallError, handles.receive, self.server)

    def test_garbage(self):
        """Bytes that are no record are `SSL.Error`."""
        self.sockets[1].send(b"this is no TLS record at all")
        error = self.assertRaises(SSL.Error, handles.receive, self.server)
        self.assertNotIsInstance(error, (SSL.WantReadError, SSL.SysCallError))


def record(number: int, size: int = handles.RECORD) -> bytes:
    """The payload of a record, unlike that of others."""
    return b"%08d" % number * (size // 8)


class RelayTests(Pairs):
    """sender -> source, into -> receiver."""

    def setUp(self):
        self.source, self.sender, self.incoming = self.pair()
        self.into, self.receiver, self.outgoing = self.pair()

    def test_records(self):
        """Records go over as they are, as many as are wanted, and the next ones stay."""
        for number in range(5):
            handles.send(self.sender, record(number))
        size = handles.RECORD
        self.assertEqual(handles.relay(self.source, self.into, 3), (3 * size, 0, None))
        for number in range(3):
            self.assertEqual(handles.receive(self.receiver), record(number))
        self.assertRaises(SSL.WantReadError, handles.receive, self.receiver)
        self.assertEqual(handles.receive(self.source), record(3))

    def test_nothing_more(self):
        """It stops where nothing more has come, with what has come before."""
        handles.send(self.sender, record(1))
        moved, unsent, error = handles.relay(self.source, self.into, 3)
        self.assertEqual((moved, unsent), (handles.RECORD, 0))
        self.assertIsInstance(error, SSL.WantReadError)
        self.assertEqual(handles.receive(self.receiver), record(1))

    def test_short(self):
        """A short record is the last one; a half is not short."""
        for size in (handles.RECORD // 2, 16, handles.RECORD):
            handles.send(self.sender, record(size, size))
        self.assertEqual(
            handles.relay(self.source, self.into, 9), (handles.RECORD // 2 + 16, 0, None)
        )

    def test_no_room(self):
        """What could not be written is kept, whatever goes through the same memory meanwhile, and
        arrives whole when it is sent later."""
        sent = 0
        while True:
            handles.send(self.sender, record(sent))
            moved, unsent, error = handles.relay(self.source, self.into, 1)
            self.assertEqual(moved, handles.RECORD)
            sent += 1
            if unsent:
                break
        self.assertEqual(unsent, handles.RECORD)
        self.assertIsInstance(error, SSL.WantWriteError)
        waiting = handles.kept(unsent)
        handles.send(self.sender, b"something else")
        self.assertEqual(handles.receive(self.source), b"something else")
        received = [handles.receive(self.receiver)]
        while waiting:
            try:
                handles.send(self.into, waiting)
                waiting = b""
            except SSL.WantWriteError:
                received.append(handles.receive(self.receiver))
        while len(received) < sent:
            received.append(handles.receive(self.receiver))
        self.assertEqual(received, [record(number) for number in range(sent)])

    def test_ends(self):
        """An end of what is read, clean or not, is told after what came before it, and leaves the
        other connection in order."""
        for end, expected in (
            (lambda test: test.sender.shutdown(), SSL.ZeroReturnError),
            (lambda test: test.incoming[1].close(), SSL.SysCallError),
            (lambda test: test.incoming[1].send(b"this is no TLS record at all"), SSL.Error),
        ):
            self.setUp()
            handles.send(self.sender, record(1))
            end(self)
            moved, unsent, error = handles.relay(self.source, self.into, 3)
            self.assertEqual((moved, unsent), (handles.RECORD, 0))
            self.assertIsInstance(error, expected)
            self.assertNotIsInstance(error, SSL.WantReadError)
            self.assertEqual(handles.receive(self.receiver), record(1))
            self.assertRaises(SSL.WantReadError, handles.receive, self.receiver)

    def test_gone(self):
        """A connection that can be written to no more says so, and what was read is known."""
        self.outgoing[1].close()
        handles.send(self.sender, record(1))
        moved, unsent, error = handles.relay(self.source, self.into, 3)
        self.assertEqual((moved, unsent), (handles.RECORD, handles.RECORD))
        self.assertIsInstance(error, SSL.SysCallError)

    def test_no_garbage(self):
        """What stops it holds on to nobody."""
        _, _, error = handles.relay(self.source, self.into, 3)
        self.assertIsInstance(error, SSL.WantReadError)
        self.assertIsNone(error.__traceback__)

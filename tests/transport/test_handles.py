"""OpenSSL by its handles does what pyOpenSSL does, on the oldest and the newest."""

from __future__ import annotations

import socket

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.clients.stage import pki
from toolforge_gateway.transport import handles


def context(certificate: str) -> SSL.Context:
    made = SSL.Context(SSL.TLS_METHOD)
    made.use_certificate_file(str(pki() / f"{certificate}.crt"))
    made.use_privatekey_file(str(pki() / f"{certificate}.key"))
    return made


class HandleTests(SynchronousTestCase):
    def setUp(self):
        ends = socket.socketpair()
        for end in ends:
            end.setblocking(False)
            self.addCleanup(end.close)
        self.sockets = ends
        self.server = SSL.Connection(context("server"), ends[0])
        self.server.set_accept_state()
        self.client = SSL.Connection(context("tool-tf-test"), ends[1])
        self.client.set_connect_state()
        done: set[SSL.Connection] = set()
        while len(done) < 2:
            for connection in (self.client, self.server):
                try:
                    connection.do_handshake()
                    done.add(connection)
                except SSL.WantReadError:
                    pass

    def test_there_and_back(self):
        """What is sent is received, record by record, and what is pending is known."""
        data = bytes(range(256)) * 64
        self.assertEqual(handles.send(self.client, data), len(data))
        self.assertEqual(handles.send(self.client, b"more"), 4)
        self.assertEqual(handles.receive(self.server), data)
        self.assertEqual(handles.receive(self.server), b"more")
        self.assertEqual(handles.pending(self.server), 0)
        handles.send(self.client, b"12345")
        self.assertEqual(self.server.recv(2), b"12")
        self.assertEqual(handles.pending(self.server), 3)
        self.assertEqual(handles.receive(self.server), b"345")

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

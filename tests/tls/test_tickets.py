"""Session tickets: nobody resumes a session here, so none should be sent."""

from __future__ import annotations

import os
import subprocess
import sys

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.clients.stage import ROOT
from tests.tls.pairs import Files, client_context, clock_at, step
from toolforge_gateway.tls.private import without_tickets
from toolforge_gateway.tls.server import ServerSide


def tickets() -> int:
    """Shake hands in TLS 1.3.

    :return: how many bytes the server sends after the client's last message:
        there is nothing but tickets to be sent then.
    """
    side = ServerSide.load(Files.make().settings(), clock_at())
    server = side.creator.serverConnectionForTLS(None)
    server.set_accept_state()
    client = SSL.Connection(client_context(version=SSL.TLS1_3_VERSION), None)
    client.set_connect_state()
    while not step(client.do_handshake):
        move(client, server)
        step(server.do_handshake)
        move(server, client)
    move(client, server)
    assert step(server.do_handshake), "it is done"
    return move(server, None)


def move(source: SSL.Connection, target: SSL.Connection | None) -> int:
    """Carry all bytes over that there are; how many those were."""
    count = 0
    while True:
        try:
            data = source.bio_read(65536)
        except SSL.WantReadError:
            return count
        count += len(data)
        if target is not None:
            target.bio_write(data)


class TicketTests(SynchronousTestCase):
    def test_told(self) -> None:
        """Where OpenSSL can be told, none is sent; else its own configuration has to say so."""
        told = without_tickets(SSL.Context(SSL.TLS_METHOD))
        self.assertEqual(tickets() == 0, told or "OPENSSL_CONF" in os.environ)

    def test_configured(self) -> None:
        """With etc/openssl.cnf none is sent, whichever OpenSSL it is."""
        folder = self.mktemp()
        os.mkdir(folder)
        done = subprocess.run(
            [sys.executable, "-c", "from tests.tls.test_tickets import tickets; print(tickets())"],
            env={
                **os.environ,
                "OPENSSL_CONF": str(ROOT / "etc" / "openssl.cnf"),
                "PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path)),
            },
            cwd=folder,  # for what the handshake's keys are written into
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual(done.stdout, "0\n", done.stderr)

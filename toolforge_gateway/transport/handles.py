"""OpenSSL's read and write without pyOpenSSL's detours.

pyOpenSSL allocates a buffer for each read, and looks for the exceptions of
three kinds of callbacks after each call that went well: 3 to 6 microseconds,
twice in each direction of each request.  Here its own handles are used, and
its own treatment of errors where there is one to treat.

The only module that touches private attributes of pyOpenSSL: `_ssl`,
`_raise_ssl_error`, and `OpenSSL._util`.
"""

from __future__ import annotations

from OpenSSL import SSL
from OpenSSL._util import ffi, lib

RECORD = 16384
"""Bytes of payload in the largest TLS record (RFC 8446 section 5.1)."""

# One for all connections: what was read is copied out before the next read.
_buffer = ffi.new("char[]", RECORD)
_view = ffi.buffer(_buffer)
_read, _write, _pending = lib.SSL_read, lib.SSL_write, lib.SSL_pending


def receive(connection: SSL.Connection) -> bytes:
    """`Connection.recv` of at most one record.

    :raise SSL.Error: what `recv` raises, `WantReadError` among it.
    """
    ssl = connection._ssl
    count = _read(ssl, _buffer, RECORD)
    if count <= 0:
        connection._raise_ssl_error(ssl, count)
    data: bytes = _view[:count]
    return data


def send(connection: SSL.Connection, data: bytes) -> int:
    """`Connection.send`.

    :return: how many bytes were taken, at least one.
    :raise SSL.Error: what `send` raises.
    """
    ssl = connection._ssl
    count: int = _write(ssl, data, len(data))
    if count <= 0:
        connection._raise_ssl_error(ssl, count)
    return count


def pending(connection: SSL.Connection) -> int:
    """`Connection.pending`: bytes that are read and decrypted already."""
    count: int = _pending(connection._ssl)
    return count

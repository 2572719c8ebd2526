"""What we need of OpenSSL and pyOpenSSL does not offer.

Here and in `transport.handles` alone the project looks behind pyOpenSSL's
public names; each thing that is taken from there has a test with the oldest
and the newest release.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL, crypto
from OpenSSL._util import ffi, lib

_SSL_CTRL_SET_GROUPS_LIST = 92
"""Of openssl/ssl.h, where SSL_CTX_set1_groups_list is a macro for it."""


def group_setter(context: SSL.Context) -> Callable[[bytes], bool] | None:
    """What says to OpenSSL which groups to exchange keys in.

    :return: a call with a list in OpenSSL's own words
        (SSL_CTX_set1_groups_list(3)), whose answer is whether OpenSSL knows
        all of them; None: there is no way to say it.  pyOpenSSL has none; the
        newest releases of cryptography show the function, and where an older
        one is linked with the system's OpenSSL, as Debian's is, OpenSSL itself
        can be called.
    """
    handle = context._context
    call = getattr(lib, "SSL_CTX_set1_curves_list", None)
    if call is None:
        control = _linked("SSL_CTX_ctrl")
        if control is None:
            return None
        control.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p)
        control.restype = ctypes.c_long
        address = int(ffi.cast("uintptr_t", handle))

        def call(_: object, groups: bytes) -> int:
            done: int = control(address, _SSL_CTRL_SET_GROUPS_LIST, 0, groups)
            return done

    def set_groups(groups: bytes) -> bool:
        known = call(handle, groups) == 1
        if not known:
            # Else the next call into OpenSSL would be blamed for it.
            lib.ERR_clear_error()
        return known

    return set_groups


def set_suites(context: SSL.Context, suites: bytes) -> None:
    """Say which suites of TLS 1.3 there are, the preferred one first.

    Older releases of pyOpenSSL have no call for it.

    :param suites: in OpenSSL's own words (SSL_CTX_set_ciphersuites(3)).
    :raise ValueError: OpenSSL does not know them.
    """
    if lib.SSL_CTX_set_ciphersuites(context._context, suites) != 1:
        lib.ERR_clear_error()
        raise ValueError(suites)


def without_tickets(context: SSL.Context) -> bool:
    """Have the context's servers send no session tickets in TLS 1.3.

    Nobody resumes a session here, and yet OpenSSL sends two of them with each
    handshake, SSL_OP_NO_TICKET or not (SSL_CTX_set_num_tickets(3)).  A thirtieth
    of a new connection, and a kilobyte of memory.

    :return: whether it can be said to this OpenSSL from here.  Neither pyOpenSSL
        nor cryptography shows the function, so only one that is a library of its
        own, such as Debian's, can be told; etc/openssl.cnf tells the others.
    """
    set_number = _linked("SSL_CTX_set_num_tickets")
    if set_number is None:
        return False
    set_number.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    set_number.restype = ctypes.c_int
    done: int = set_number(int(ffi.cast("uintptr_t", context._context)), 0)
    return done == 1


_SHA256 = lib.EVP_get_digestbyname(b"SHA256")
_digest = ffi.new("unsigned char[]", 32)
_view = ffi.buffer(_digest)
_length = ffi.new("unsigned int *")


def chain_fingerprint(connection: SSL.Connection) -> bytes:
    """What tells the chain that OpenSSL has verified from all others.

    Certificates as pyOpenSSL's objects, and then as bytes, would cost 20
    microseconds of a new connection.

    :return: the SHA-256 of each certificate's DER form, from the peer's own to
        the anchor; empty if there is no chain.
    """
    chain = lib.SSL_get0_verified_chain(connection._ssl)
    if chain == ffi.NULL:
        return b""
    digests = []
    for at in range(lib.sk_X509_num(chain)):
        if lib.X509_digest(lib.sk_X509_value(chain, at), _SHA256, _digest, _length) != 1:
            lib.ERR_clear_error()
            return b""
        digests.append(_view[:])
    return b"".join(digests)


def _linked(name: str) -> Any:
    """A function of the very OpenSSL that cryptography uses, if it is to be
    had: a library's own names and those of what it is linked with are searched,
    and no other OpenSSL in this process."""
    for module in ("_openssl", "_rust"):  # The one until cryptography 40, the other since.
        extension = importlib.util.find_spec(f"cryptography.hazmat.bindings.{module}")
        if extension is not None and extension.origin is not None:
            return getattr(ctypes.CDLL(extension.origin), name, None)
    return None


def for_clients(store: crypto.X509Store) -> None:
    """Have a store verify chains as a TLS server does those of its clients
    (X509_STORE_set_purpose(3)); pyOpenSSL has no call for it.

    :raise RuntimeError: OpenSSL does not take it; nothing may be verified then.
    """
    if lib.X509_STORE_set_purpose(store._store, lib.X509_PURPOSE_SSL_CLIENT) != 1:
        raise RuntimeError("OpenSSL takes no purpose for a store of certificates")

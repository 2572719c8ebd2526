"""Whether the certificates that we send along belong to ours."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from OpenSSL import crypto

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of openssl/x509_vfy.h, without a name in pyOpenSSL: dates are
complained about in words of their own."""


def stranger(certificates: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """The first certificate that has issued none of those before it.

    A server sends its own certificate and then each one's issuer (RFC 8446 section 4.4.2; the
    root may be there too).  One that is there twice does no harm.

    :param certificates: as their file has them, ours first.
    :return: None when there is no such.
    """
    for number, candidate in enumerate(certificates[1:], 1):
        if not any(_has_issued(candidate, each) for each in certificates[:number]):
            return candidate
    return None


def _has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether OpenSSL takes the one for the issuer of the other, whose signature it then checks."""
    if issuer.subject != certificate.issuer:
        return False
    store = crypto.X509Store()
    store.add_cert(crypto.X509.from_cryptography(issuer))
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN | _NO_CHECK_TIME)
    try:
        crypto.X509StoreContext(
            store, crypto.X509.from_cryptography(certificate)
        ).verify_certificate()
    except crypto.X509StoreContextError:
        return False
    return True

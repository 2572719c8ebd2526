"""Certificates that came without a handshake: in a header of a proxy's, or a file.

The judgement is that of a connection: the same anchors, purpose, depth and
strength, then the same `ClientVerifier`.  What is missing is the proof that
the client has the key; somebody else must have seen that.
"""

from __future__ import annotations

from collections.abc import Sequence

from OpenSSL import crypto

from toolforge_gateway.model import Certificate
from toolforge_gateway.tls.anchors import Unverified
from toolforge_gateway.tls.verifier import ClientVerifier


class ShownCertificates:
    """Verifies chains by the anchors of a listener.

    :param verifier: the listener's.
    """

    def __init__(self, verifier: ClientVerifier):
        self._verifier = verifier

    def examine(self, certificates: Sequence[bytes]) -> Certificate:
        """Judge a chain.

        :param certificates: DER; the client's own, then whatever lies between
            it and its authority.
        :raise BadEvidence: 403; `Unverified` where a handshake would fail.
        """
        leaf, *between = map(_load, certificates)
        return self._verifier.judge(self._verifier.anchors.chain_of(leaf, between))


def _load(der: bytes) -> crypto.X509:
    """:raise Unverified: it is no certificate, or not that alone."""
    if _length(der) != len(der):
        raise Unverified("it is no certificate")
    try:
        return crypto.load_certificate(crypto.FILETYPE_ASN1, der)
    except crypto.Error:
        raise Unverified("it is no certificate") from None


def _length(der: bytes) -> int | None:
    """Bytes of the outermost element (X.690 section 8.1.3); what follows it
    would not be looked at."""
    if len(der) < 2 or der[0] != 0x30:
        return None
    if der[1] < 0x80:
        return 2 + der[1]
    octets = der[1] & 0x7F
    return 2 + octets + int.from_bytes(der[2 : 2 + octets], "big") if 0 < octets <= 4 else None

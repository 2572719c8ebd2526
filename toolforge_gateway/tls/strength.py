"""Keys and signatures that are too weak, as OpenSSL's security level has it.

In a handshake OpenSSL applies the level itself; where it verifies a chain
without a connection no library offers to say so, and it is done here.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from toolforge_gateway.tls.options import SECURITY_LEVEL

assert SECURITY_LEVEL == 2, "the bounds below are those of level 2 (112 bits)"

RSA_BITS = 2048
EC_BITS = 224
_EDWARDS = (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)
_GOOD_HASHES = (
    hashes.SHA224,
    hashes.SHA256,
    hashes.SHA384,
    hashes.SHA512,
    hashes.SHA512_224,
    hashes.SHA512_256,
    hashes.SHA3_224,
    hashes.SHA3_256,
    hashes.SHA3_384,
    hashes.SHA3_512,
)


def is_strong(chain: Sequence[x509.Certificate]) -> bool:
    """Whether all of a verified chain is up to the level of a handshake.

    The keys of all certificates count, and the signatures of all but the
    anchor, which nobody need believe.

    :param chain: from the client's certificate to its anchor.
    """
    try:
        return all(map(_has_strong_key, chain)) and all(map(_has_strong_signature, chain[:-1]))
    except (ValueError, UnsupportedAlgorithm):
        return False


def _has_strong_key(certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    if isinstance(key, (rsa.RSAPublicKey, dsa.DSAPublicKey)):
        return key.key_size >= RSA_BITS
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.key_size >= EC_BITS
    return isinstance(key, _EDWARDS)


def _has_strong_signature(certificate: x509.Certificate) -> bool:
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None:  # Ed25519 and Ed448 hash as they please.
        return certificate.signature_algorithm_oid in (
            x509.SignatureAlgorithmOID.ED25519,
            x509.SignatureAlgorithmOID.ED448,
        )
    return isinstance(algorithm, _GOOD_HASHES)

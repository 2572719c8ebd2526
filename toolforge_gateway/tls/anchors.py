"""The authorities that vouch for the clients of a listener, as they are at one time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs
from cryptography import x509
from OpenSSL import crypto

from toolforge_gateway.errors import BadEvidence
from toolforge_gateway.model import Kind
from toolforge_gateway.tls.facts import refused
from toolforge_gateway.tls.files import not_after
from toolforge_gateway.tls.options import VERIFY_DEPTH
from toolforge_gateway.tls.private import for_clients
from toolforge_gateway.tls.revocation import RevocationList
from toolforge_gateway.tls.strength import is_strong


class Unverified(BadEvidence):
    """OpenSSL does not take the chain: a handshake would end with an alert.

    :ivar why: in OpenSSL's words.
    """

    def __init__(self, why: str):
        known = refused("certificate-unverified", f"your certificate could not be verified: {why}")
        super().__init__(known.status, known.reason, known.message, known.close)
        self.why = why


@attrs.frozen
class Anchor:
    """One certificate of a configured client CA."""

    certificate: x509.Certificate
    client_ca: str
    identifies: frozenset[Kind]
    index: int
    """This certificate's place among those of the CA."""
    revocable: bool
    """Whether the CA was configured with revocation."""
    revoked: RevocationList | None
    """None: there is no list of this certificate's."""
    not_after: float = attrs.field(init=False)

    @not_after.default
    def _not_after(self) -> float:
        return not_after(self.certificate)


class Anchors:
    """All of them, found by certificate.  Never by name: two authorities may bear the same one.

    :ivar all: in the order of the configuration.
    """

    def __init__(self, anchors: Iterable[Anchor]):
        self.all = tuple(anchors)
        der = crypto.FILETYPE_ASN1
        loaded = [crypto.X509.from_cryptography(each.certificate) for each in self.all]
        self._by_der = {
            crypto.dump_certificate(der, certificate): anchor
            for certificate, anchor in zip(loaded, self.all, strict=True)
        }
        self._store = crypto.X509Store()
        for_clients(self._store)
        for certificate in loaded:
            self._store.add_cert(certificate)

    def __len__(self) -> int:
        return len(self.all)

    def of(self, certificate: crypto.X509) -> Anchor | None:
        """The anchor that is this very certificate."""
        return self._by_der.get(crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate))

    def chain_of(self, leaf: crypto.X509, between: Sequence[crypto.X509]) -> Sequence[crypto.X509]:
        """Verify a certificate as a handshake would: purpose, dates, depth and strength.

        :param between: whatever may lie between it and its anchor.
        :return: from the certificate to its anchor.
        :raise Unverified: a handshake would fail.
        """
        context = crypto.X509StoreContext(self._store, leaf, list(between))
        try:
            chain = context.get_verified_chain()
        except crypto.X509StoreContextError as error:
            raise Unverified(str(error)) from None
        if len(chain) - 2 > VERIFY_DEPTH:
            raise Unverified("the chain is too long")
        if not is_strong([each.to_cryptography() for each in chain]):
            raise Unverified("a key or a signature is too weak")
        return chain

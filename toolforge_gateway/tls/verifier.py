"""Our own judgement of a client's certificate, once per connection.

OpenSSL has built and verified the chain by then; a chain it does not like has
ended as a TLS alert, and no word of HTTP was spoken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from toolforge_gateway.interfaces import IClientVerifier
from toolforge_gateway.model import Certificate
from toolforge_gateway.tls.anchors import Anchor, Anchors
from toolforge_gateway.tls.facts import FactsMemory, refused
from toolforge_gateway.tls.files import not_after
from toolforge_gateway.tls.private import chain_fingerprint
from toolforge_gateway.tls.revocation import RevocationList


@attrs.frozen
class _Judged:
    """A chain that was found good, apart from revocation."""

    certificate: Certificate
    anchor: Anchor
    serial: int
    direct: bool
    """Whether the CA itself has issued the certificate."""


REMEMBERED = 1024
"""Chains: nearly every call of a command line client is a new connection with
a chain that was judged before."""


@implementer(IClientVerifier)
class ClientVerifier:
    """Finds which CA vouches, and whether the certificate is good for us.

    :ivar anchors: those that vouch now.
    :param clock: its `seconds()` are POSIX time.
    """

    def __init__(self, anchors: Anchors, clock: IReactorTime):
        self.anchors = anchors
        self.clock = clock
        self.facts = FactsMemory()
        self._known: dict[bytes, _Judged] = {}

    def adopt(self, anchors: Anchors) -> None:
        """Others vouch from now on, or there are other lists; who was examined before is to be
        examined again."""
        self.anchors = anchors
        self._known.clear()

    def examine(self, connection: SSL.Connection) -> Certificate | None:
        """See `IClientVerifier.examine`."""
        fingerprint = chain_fingerprint(connection)
        judged = self._known.get(fingerprint)
        if judged is None:
            chain = connection.get_verified_chain()
            if not chain:
                if connection.get_peer_certificate() is None:
                    return None
                raise refused(
                    "certificate-unverified",
                    "your certificate could not be verified; use one of this installation",
                )
            judged = self._judge(chain)
            if fingerprint:
                if len(self._known) >= REMEMBERED:
                    del self._known[next(iter(self._known))]
                self._known[fingerprint] = judged
        return self._unless_revoked(judged)

    def judge(self, chain: Sequence[crypto.X509]) -> Certificate:
        """The same for a chain that OpenSSL has verified, however it came here.

        :param chain: from the client's certificate to its anchor.
        :raise BadEvidence: 403, with the reason.
        """
        return self._unless_revoked(self._judge(chain))

    def _judge(self, chain: Sequence[crypto.X509]) -> _Judged:
        """What holds for a chain whenever it is shown."""
        if len(chain) < 2:
            raise refused(
                "certificate-of-authority", "an authority is no client; use a client certificate"
            )
        anchor = self.anchors.of(chain[-1])
        if anchor is None:
            # The anchors have changed since the handshake: another may vouch now, such as the
            # CA's own new certificate.
            chain = self.anchors.chain_of(chain[0], chain[1:])
            anchor = self.anchors.of(chain[-1])
            assert anchor is not None, "only an anchor ends a verified chain"
        facts = self.facts.of(chain[0])
        certificate = Certificate(
            subject=facts.subject,
            client_ca=anchor.client_ca,
            identifies=anchor.identifies,
            not_before=facts.not_before,
            # A certificate ends with the first of those that vouch for it.
            not_after=min(
                facts.not_after,
                anchor.not_after,
                *(not_after(each.to_cryptography()) for each in chain[1:-1]),
            ),
            fingerprint=facts.fingerprint,
            list_until=math.inf,
        )
        return _Judged(certificate, anchor, facts.serial, direct=len(chain) == 2)

    def _unless_revoked(self, judged: _Judged) -> Certificate:
        """The certificate, if its CA has not taken it back until now."""
        anchor = judged.anchor
        if not anchor.revocable:
            return judged.certificate
        list_until = self._check_revocation(anchor.revoked, judged.serial, judged.direct)
        return attrs.evolve(judged.certificate, list_until=list_until)

    def _check_revocation(self, revoked: RevocationList | None, serial: int, direct: bool) -> float:
        """Ask the CA's list, which knows only what the CA itself has signed.

        :return: when that answer ends, POSIX seconds.
        """
        if revoked is None or not direct:
            raise refused(
                "revocation-unknown",
                "no revocation list covers your certificate; have one issued by the CA itself",
            )
        if revoked.next_update <= self.clock.seconds():
            raise refused(
                "revocation-list-expired",
                "the revocation list of your certificate's CA is out of date;"
                " tell the operators of this service",
            )
        if serial in revoked.serials:
            raise refused(
                "certificate-revoked", "your certificate was revoked; have a new one issued"
            )
        return revoked.next_update

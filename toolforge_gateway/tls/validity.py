"""How long what we were given is good for: certificates, authorities, revocation lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs
from cryptography import x509

from toolforge_gateway.tls.client import UpstreamSide
from toolforge_gateway.tls.files import not_after
from toolforge_gateway.tls.options import GatewayCertificateOptions
from toolforge_gateway.tls.server import ServerSide
from toolforge_gateway.tls.verifier import Anchor

LONGEST_NAME = 100
"""Characters of a subject; what is cut off is marked by an ellipsis."""


@attrs.frozen
class Validity:
    """One thing that runs out."""

    name: str
    """What it is, in words; different for each."""
    kind: str
    """`server`, `upstream`, `client-ca`, `upstream-ca` or `revocation-list`."""
    subject: str
    """By RFC 4514."""
    ends: float | None
    """POSIX seconds; None: it is missing."""


def of_listener(where: str, side: ServerSide) -> Sequence[Validity]:
    """A listener's certificate, its client CAs, and their lists as they are now.

    :param where: what the listener is called.
    """
    found = _own(f"server certificate of {where}", "server", side.creator)
    anchors = list(side.verifier.anchors.items())
    for der, anchor in anchors:
        name = anchor.client_ca + _which(anchor, [each for _, each in anchors])
        certificate = x509.load_der_x509_certificate(der)
        found.append(
            Validity(f"client CA {name}", "client-ca", _subject(certificate), anchor.not_after)
        )
        if anchor.lists is not None:
            revoked = anchor.lists.list_of(anchor.index)
            found.append(
                Validity(
                    f"revocation list of {name}",
                    "revocation-list",
                    _subject(certificate),
                    None if revoked is None else revoked.next_update,
                )
            )
    return found


def of_upstream(side: UpstreamSide) -> Sequence[Validity]:
    """What we show to backends, and by what we know them."""
    found = _own("certificate shown to backends", "upstream", side.options)
    authorities = [each.to_cryptography() for each in side.options.caCerts or ()]
    for number, certificate in enumerate(authorities, 1):
        which = f" ({number} of {len(authorities)})" if len(authorities) > 1 else ""
        found.append(
            Validity(
                f"CA of the backends{which}",
                "upstream-ca",
                _subject(certificate),
                not_after(certificate),
            )
        )
    return found


def once_each(found: Iterable[Validity]) -> Sequence[Validity]:
    """Without what several listeners have in common."""
    return list(dict.fromkeys(found))


def _own(name: str, kind: str, options: GatewayCertificateOptions) -> list[Validity]:
    """A certificate of ours, which ends with the first of its chain."""
    assert options.certificate is not None, "GatewayCertificateOptions always has one"
    certificate = options.certificate.to_cryptography()
    chain = [each.to_cryptography() for each in options.extraCertChain]
    ends = min(map(not_after, [certificate, *chain]))
    return [Validity(name, kind, _subject(certificate), ends)]


def _which(anchor: Anchor, anchors: Sequence[Anchor]) -> str:
    """Tells the certificates of one client CA apart, where it has several."""
    same = [each for each in anchors if each.client_ca == anchor.client_ca]
    return f" ({anchor.index + 1} of {len(same)})" if len(same) > 1 else ""


def _subject(certificate: x509.Certificate) -> str:
    text = certificate.subject.rfc4514_string()
    return text if len(text) <= LONGEST_NAME else text[:LONGEST_NAME] + "\u2026"

"""How long what we were given is good for: certificates, authorities, revocation lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs
from cryptography import x509

from toolforge_gateway.tls.anchors import Anchor
from toolforge_gateway.tls.client import UpstreamSide
from toolforge_gateway.tls.files import not_after, not_before
from toolforge_gateway.tls.options import KeyPair
from toolforge_gateway.tls.pair import end_of
from toolforge_gateway.tls.server import ServerSide

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
    begins: float | None = None
    """POSIX seconds; None: it is missing."""
    group: str | None = None
    """What it is one of several of, of which it is enough that one is in date; None: of none."""


def of_listener(where: str, side: ServerSide) -> Sequence[Validity]:
    """A listener's certificate, its client CAs, and their lists as they are now.

    :param where: what the listener is called.
    """
    found = [_own(f"server certificate of {where}", "server", side.pair)]
    anchors = side.verifier.anchors.all
    for anchor in anchors:
        name = anchor.client_ca + _which(anchor, anchors)
        group = f"client CA {anchor.client_ca}"
        found.append(_authority(f"client CA {name}", "client-ca", anchor.certificate, group))
        if anchor.revocable:
            revoked = anchor.revoked
            found.append(
                Validity(
                    f"revocation list of {name}",
                    "revocation-list",
                    _subject(anchor.certificate),
                    None if revoked is None else revoked.next_update,
                    None if revoked is None else revoked.last_update,
                )
            )
    return found


def of_upstream(side: UpstreamSide) -> Sequence[Validity]:
    """What we show to backends, and by what we know them."""
    found = [_own("certificate shown to backends", "upstream", side.pair)]
    authorities = side.authorities
    for number, certificate in enumerate(authorities, 1):
        which = f" ({number} of {len(authorities)})" if len(authorities) > 1 else ""
        group = "CA of the backends"
        found.append(_authority(f"{group}{which}", "upstream-ca", certificate, group))
    return found


def once_each(found: Iterable[Validity]) -> Sequence[Validity]:
    """Without what several listeners have in common."""
    return list(dict.fromkeys(found))


def _own(name: str, kind: str, pair: KeyPair) -> Validity:
    certificate = pair.certificate
    return Validity(name, kind, _subject(certificate), end_of(pair), not_before(certificate))


def _authority(name: str, kind: str, certificate: x509.Certificate, group: str) -> Validity:
    subject = _subject(certificate)
    begins, ends = not_before(certificate), not_after(certificate)
    return Validity(name, kind, subject, ends, begins, group)


def _which(anchor: Anchor, anchors: Sequence[Anchor]) -> str:
    """Tells the certificates of one client CA apart, where it has several."""
    same = [each for each in anchors if each.client_ca == anchor.client_ca]
    return f" ({anchor.index + 1} of {len(same)})" if len(same) > 1 else ""


def _subject(certificate: x509.Certificate) -> str:
    text = certificate.subject.rfc4514_string()
    return text if len(text) <= LONGEST_NAME else text[:LONGEST_NAME] + "\u2026"

"""What the subject of a client certificate must be like, whoever it is for."""

from __future__ import annotations

from toolforge_gateway.errors import BadEvidence
from toolforge_gateway.model import DistinguishedName

LONGEST = 255
"""Characters.  RFC 5280 appendix A.1 ends CN and O at 64, which not every authority keeps to; no
identity may have a longer name than this."""


def the_only(subject: DistinguishedName, kind: str) -> str:
    """The value of an attribute that must be there exactly once.

    :param kind: `CN` or `O`.
    :raise BadEvidence: 403 `certificate-subject`; the connection closes.
    """
    values = subject.values(kind)
    if len(values) != 1:
        count = "no" if not values else "more than one"
        raise refused("certificate-subject", f"the subject of your certificate has {count} {kind}")
    if len(values[0]) > LONGEST:
        raise refused(
            "certificate-subject", f"{kind} in the subject of your certificate is too long"
        )
    return values[0]


def refused(reason: str, message: str) -> BadEvidence:
    """A certificate that is not good, which ends its connection."""
    return BadEvidence(403, reason, f"{message}; ask for a new certificate", close=True)

"""What an identity must be like before anyone believes it."""

from __future__ import annotations

import re

from toolforge_gateway.model import Identity, Kind
from toolforge_gateway.routing import TOOL_NAME

_NAME = re.compile(r"[!-~]{1,255}")
"""Visible ASCII: a name is written into a header and into logs."""


def check_identity(identity: object) -> Identity | None:
    """Let through what an authenticator may answer.

    :raise TypeError: it is neither an identity nor None.
    :raise ValueError: a name that a backend could read as another one, or a
        kind that no authenticator may claim.
    """
    if identity is None:
        return None
    if not isinstance(identity, Identity):
        raise TypeError(f"an authenticator answered a {type(identity).__name__}")
    if identity.kind is Kind.ANONYMOUS:
        raise ValueError("anonymous is for the gateway to say, when nobody answers")
    if identity.kind is Kind.TOOL and not TOOL_NAME.fullmatch(identity.name):
        raise ValueError("the name of a tool is lower-case letters, digits, '.' and '-'")
    if identity.kind is Kind.UNVERIFIED_TOKEN and identity.asserted:
        raise ValueError("an unverified token is never asserted")
    nameless = identity.name == "" and not identity.asserted
    if not nameless and not _NAME.fullmatch(identity.name):
        raise ValueError("a name is 1 to 255 visible ASCII characters")
    return identity

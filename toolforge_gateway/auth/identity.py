"""What an identity must be like before anyone believes it."""

from __future__ import annotations

import re

from toolforge_gateway.model import Identity, Kind
from toolforge_gateway.routing import TOOL_NAME

_NAME = re.compile(r"[!-~]{1,255}")
"""Visible ASCII: a name is written into a header and into logs."""


class BadIdentity(ValueError):
    """What an authenticator answered is no identity; the text has nothing of the answer in it."""


def check_identity(identity: object) -> Identity | None:
    """Let through what an authenticator may answer.

    :raise BadIdentity: it is neither an identity nor None, has a name that a
        backend could read as another one, a kind that no authenticator may
        claim, or paths that cannot be matched.
    """
    if identity is None:
        return None
    if not isinstance(identity, Identity):
        raise BadIdentity(f"an Identity or None is wanted, not {type(identity).__name__}")
    if not isinstance(identity.kind, Kind):
        raise BadIdentity("kind is a Kind, such as Kind.TOOL")
    if identity.kind is Kind.ANONYMOUS:
        raise BadIdentity("anonymous is for the gateway to say, when nobody answers")
    if identity.kind is Kind.TOOL and not TOOL_NAME.fullmatch(identity.name):
        raise BadIdentity("the name of a tool is lower-case letters, digits, '.' and '-'")
    if identity.kind is Kind.UNVERIFIED_TOKEN and identity.asserted:
        raise BadIdentity("an unverified token is never asserted")
    if identity.paths is not None and not _are_patterns(identity.paths):
        raise BadIdentity("paths is None or a tuple of compiled patterns: re.compile(...)")
    nameless = identity.name == "" and not identity.asserted
    if not nameless and not _NAME.fullmatch(identity.name):
        raise BadIdentity("a name is 1 to 255 visible ASCII characters")
    return identity


def _are_patterns(paths: object) -> bool:
    return isinstance(paths, tuple) and all(isinstance(each, re.Pattern) for each in paths)

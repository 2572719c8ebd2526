"""A document's bytes to a tree of dict, list and scalar values."""

from __future__ import annotations

import json
from typing import Any


class Unreadable(Exception):
    """The bytes are no document; says why in a sentence."""


def read(data: bytes, media_type: str = "") -> dict[str, Any]:
    """Read JSON or YAML.

    :param media_type: the Content-Type it came with, or "" to look at the bytes themselves.
    :raise Unreadable: with a sentence.
    """
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"is not JSON: {error}") from None
    if not isinstance(tree, dict):
        raise Unreadable("is no object")
    return tree

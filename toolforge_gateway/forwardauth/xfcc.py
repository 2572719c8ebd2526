"""Envoy's X-Forwarded-Client-Cert: `Hash=...;Cert="...";Subject="...",Hash=...`."""

from __future__ import annotations

import re

_PAIR = re.compile(r'([A-Za-z]+)=(?:"((?>(?:[^"\\]|\\.)*))"|([^",;=]*+))(?:([;,])|\Z)')
_ESCAPED = re.compile(r"\\(.)")
_REPEATABLE = frozenset(["by", "dns", "uri"])


def read_element(text: str) -> dict[str, str]:
    """Read the one element that there is.

    More than one means that somebody else's words are in it: Envoy is to say
    what it has seen itself, and nothing else (SANITIZE_SET).

    :return: lower-case key to value, without its quotes.
    :raise ValueError: with a sentence for the operator of the proxy.
    """
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _PAIR.match(text, at)
        if match is None or (match[4] == ";" and match.end() == len(text)):
            raise ValueError("is not in the form of X-Forwarded-Client-Cert")
        if match[4] == ",":
            raise ValueError(
                "has more than one element; set forward_client_cert_details: SANITIZE_SET"
            )
        key = match[1].lower()
        if key in found and key not in _REPEATABLE:
            raise ValueError(f"has {match[1]} twice")
        quoted = match[2]
        found[key] = match[3] if quoted is None else _ESCAPED.sub(r"\1", quoted)
        at = match.end()
    return found

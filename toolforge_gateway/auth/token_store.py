"""A file of deploy tokens' hashes.

One token a line: the SHA-256 of its canonical text in hex, blanks, the name of
the tool, as `printf %s TOKEN | sha256sum` begins it.  Empty lines and lines
that begin with `#` mean nothing.  The tokens themselves are never in it: they
are random, so a plain hash tells nothing about them.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import attrs

from toolforge_gateway.routing import TOOL_NAME

_HASH = re.compile(r"[0-9a-f]{64}")


@attrs.frozen
class TokenStore:
    """Knows whose a token is, without knowing the token."""

    tools: dict[str, str] = attrs.field(repr=False)
    """SHA-256 in lower-case hex to the tool's name."""

    def tool_of(self, token: str) -> str | None:
        """The tool whose token this is.

        :param token: a UUID in canonical, lower-case form.
        """
        return self.tools.get(hashlib.sha256(token.encode("ascii")).hexdigest())


def read_token_store(path: Path) -> TokenStore:
    """Read the file.

    :raise OSError: it cannot be read.
    :raise ValueError: a line is wrong; the message is a sentence with the
        line's number and without its text, which might be a token.
    """
    tools: dict[str, str] = {}
    try:
        lines = path.read_text("ascii").splitlines()
    except UnicodeDecodeError:
        raise ValueError("the file is not plain ASCII text") from None
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or not _HASH.fullmatch(words[0]) or not TOOL_NAME.fullmatch(words[1]):
            raise ValueError(f"line {number} is not 'SHA-256-IN-LOWER-CASE-HEX TOOL'")
        if words[0] in tools:
            raise ValueError(f"line {number} repeats a hash")
        tools[words[0]] = words[1]
    return TokenStore(tools)

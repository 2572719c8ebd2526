"""Regular expressions over external paths, as the configuration gives them."""

from __future__ import annotations

import re

from toolforge_gateway.interfaces import IOptions


def compile_patterns(
    options: IOptions, key: str, value: object, where: str = ""
) -> tuple[re.Pattern[str], ...]:
    """Compile a list of patterns; what is wrong goes to `options.complain`.

    Each is matched in full later on, by `policy.in_scope`, whatever it says
    of `^` and `$`.  Paths are ASCII, so `\\d` and `\\w` are as well.

    :param key: the key to complain about.
    :param value: what the file says; should be a list of strings.
    :param where: which part of the key's value it is, for the complaint.
    """
    prefix = f"{where}: " if where else ""
    if not isinstance(value, list):
        options.complain(key, f"{prefix}not a list", 'write ["^/jobs/.*$"], or [] for none')
        return ()
    patterns = []
    for text in value:
        if not isinstance(text, str) or not text:
            options.complain(key, f"{prefix}a pattern is not text", "put it in quotes")
            continue
        try:
            patterns.append(re.compile(text, re.ASCII))
        except re.error as error:
            options.complain(
                key,
                f"{prefix}{text!r} is not a regular expression: {error}",
                "see the documentation of Python's re",
            )
    return tuple(patterns)

"""Paths: templates, routes, and which route a path belongs to.

Pure functions over the external path exactly as it was received: escapes are
kept, nothing is decoded or normalised, literals are compared byte for byte.
Layer 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Generic, Literal, TypeVar

import attrs

TOOL_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
"""A tool's name; always used with `fullmatch`."""

_KNOWN = {"n": "[0-9]+", "tool": TOOL_NAME.pattern}
_PLACEHOLDER = re.compile(r"[a-z_][a-z0-9_]*")
_NO_REGEX = (re.error, OverflowError, RecursionError)
"""What `re.compile` makes of impossible, huge and deep expressions."""
_LITERAL = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@-]+")


@attrs.frozen
class PathTemplate:
    """A path with placeholders, `/v{n}/tool/{tool}/jobs/{id:[0-9]+}`.

    `{n}` is a number, `{tool}` a tool's name, any other `{x}` one whole
    segment, and `{x:regex}` a piece of one segment that the regular
    expression matches in full.

    :raise ValueError: the text is not a template; the message is a sentence.
    """

    text: str
    names: frozenset[str] = attrs.field(init=False, eq=False)
    _pattern: re.Pattern[str] = attrs.field(init=False, eq=False, repr=False)
    _prefix: re.Pattern[str] = attrs.field(init=False, eq=False, repr=False)
    _regex_names: tuple[str, ...] = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        pattern, names, regex_names = _compile(self.text)
        put = object.__setattr__
        put(self, "names", names)
        try:
            put(self, "_pattern", re.compile(pattern, re.ASCII))
            put(self, "_prefix", re.compile(f"{pattern}(?=/|\\Z)", re.ASCII))
        except _NO_REGEX as error:
            raise ValueError(f"its regular expressions cannot be used: {error}") from None
        put(self, "_regex_names", regex_names)

    def fullmatch(self, path: str) -> dict[str, str] | None:
        """What each placeholder stands for when the whole path matches."""
        return self._values(self._pattern.fullmatch(path))

    def prefixmatch(self, path: str) -> dict[str, str] | None:
        """The same when the path begins with the template's segments."""
        return self._values(self._prefix.match(path))

    def _values(self, match: re.Match[str] | None) -> dict[str, str] | None:
        if match is None:
            return None
        # An operator's regular expression may match a slash, `.` does; a
        # placeholder may not, or it would reach into the next segment.
        for name in self._regex_names:
            if "/" in match[name]:
                return None
        return match.groupdict()


def _compile(text: str) -> tuple[str, frozenset[str], tuple[str, ...]]:
    if not text.startswith("/"):
        raise ValueError("a path begins with '/'")
    pattern, names, regex_names = "", [], []
    at = 0
    while at < len(text):
        if text[at] == "{":
            end = _closing_brace(text, at)
            name, colon, regex = text[at + 1 : end].partition(":")
            if not _PLACEHOLDER.fullmatch(name):
                raise ValueError(f"{{{name}}} is no placeholder: use a lower-case word")
            if name in names:
                raise ValueError(f"the placeholder {{{name}}} occurs twice")
            names.append(name)
            if colon:
                _check_regex(name, regex)
                regex_names.append(name)
            pattern += f"(?P<{name}>{regex or _KNOWN.get(name, '[^/]+')})"
            at = end + 1
        elif text[at] == "/":
            if text[at : at + 2] == "//":
                raise ValueError("it has an empty segment ('//')")
            pattern += "/"
            at += 1
        else:
            literal = _LITERAL.match(text, at)
            if literal is None:
                raise ValueError(f"{text[at]!r} cannot stand in a path")
            pattern += re.escape(literal[0])
            at = literal.end()
    return pattern, frozenset(names), tuple(regex_names)


def _closing_brace(text: str, start: int) -> int:
    depth = 0
    for at in range(start, len(text)):
        if text[at] == "{":
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
    raise ValueError("a '{' is never closed")


def _check_regex(name: str, regex: str) -> None:
    try:
        groups = re.compile(regex, re.ASCII).groups
    except _NO_REGEX as error:
        raise ValueError(f"the regular expression of {{{name}}} is broken: {error}") from None
    if not regex or groups:
        raise ValueError(
            f"the regular expression of {{{name}}} is empty or has groups; "
            "write (?:...) where it needs one"
        )


@attrs.frozen
class Route:
    """What the line must know of a backend in order to decide."""

    name: str
    prefix: str
    """The external path that is the backend's, `/jobs`; no trailing slash."""
    tool_path: PathTemplate | None = None
    """Below the prefix, where a path names its tool; None: not tool-scoped."""
    open_paths: tuple[PathTemplate, ...] = ()
    """Below the prefix, the other paths that may be used."""
    anonymous: Literal["forward", "refuse"] = "forward"
    anonymous_paths: tuple[PathTemplate, ...] = ()
    """Below the prefix, open to anonymous callers even under `refuse`."""

    def tool_of(self, path: str) -> str | None:
        """The tool that an external path names, if it names one."""
        if self.tool_path is None:
            return None
        found = self.tool_path.prefixmatch(path[len(self.prefix) :])
        return found["tool"] if found else None

    def is_open(self, path: str) -> bool:
        """Whether the external path is one of the open paths."""
        return self._any(self.open_paths, path)

    def is_anonymous(self, path: str) -> bool:
        """Whether the external path is open to anonymous callers."""
        return self._any(self.anonymous_paths, path)

    def _any(self, templates: Iterable[PathTemplate], path: str) -> bool:
        below = path[len(self.prefix) :]
        return any(template.fullmatch(below) is not None for template in templates)


def is_below(path: str, prefix: str) -> bool:
    """Whether a path is the prefix or, in whole segments, below it."""
    return path == prefix or path.startswith(prefix + "/")


T = TypeVar("T")


class RouteTable(Generic[T]):
    """Finds the longest prefix, in whole segments, that a path begins with.

    :param entries: prefix (`/jobs`, `/jobs/beta`) to whatever serves it.
    """

    def __init__(self, entries: Mapping[str, T]):
        self._entries = dict(entries)
        self._depths = sorted({prefix.count("/") for prefix in entries}, reverse=True)

    def find(self, path: str) -> T | None:
        """:param path: begins with `/`; no query."""
        for depth in self._depths:
            end = 0
            for _ in range(depth):
                end = path.find("/", end + 1)
                if end < 0:
                    break
            found = self._entries.get(path if end < 0 else path[:end])
            if found is not None:
                return found
        return None

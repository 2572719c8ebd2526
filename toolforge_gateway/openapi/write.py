"""A document as text: JSON, and YAML for those who read it themselves.

YAML is written by ourselves because PyYAML needs ten times as long for it, and because what it
writes is meant for YAML 1.1: `1e3` and `0o10` would be numbers to a reader of 1.2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_PLAIN = re.compile(r"[A-Za-z/_$][A-Za-z0-9/_$.,(){}'-]*(?: [A-Za-z0-9/_$.,(){}'-]+)*")
"""Text that needs no quotes, outside of flow collections, whatever the version of YAML."""
_WORDS = frozenset(["null", "true", "false", "yes", "no", "on", "off", "y", "n"])
"""What would not be text without quotes, in any case of letters."""
_NOT_PRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Signs that JSON takes as they are and YAML does not (YAML 1.2 section 5.1)."""
_NOT_AS_IT_STANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""The same, and what JSON escapes, but for tabs and line ends."""
_LONGEST_KEY = 1000
"""Signs of a key that may stand before a colon without further notice (section 7.4.2)."""


def as_json(document: Mapping[str, Any]) -> bytes:
    """A document as it is served.

    :raise ValueError: there is something in it that JSON cannot say.
    """
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8") + b"\n"


def as_yaml(document: Mapping[str, Any]) -> bytes:
    """The same in YAML, in blocks; it reads the same under YAML 1.1 and 1.2.

    :param document: of dict, list, str, int, float, bool and None.
    """
    lines: list[str] = []
    try:
        _block(document, "", lines)
    except RecursionError:
        return as_json(document)  # which is YAML too (YAML 1.2 section 1.2)
    return ("\n".join(lines) + "\n").encode("utf-8")


def _block(value: Any, indent: str, lines: list[str]) -> None:
    if isinstance(value, dict) and value:
        for key, below in value.items():
            name = _text(key)
            long = len(name) > _LONGEST_KEY
            head = f"{indent}? {name}\n{indent}:" if long else f"{indent}{name}:"
            if isinstance(below, dict | list) and below:
                lines.append(head)
                # The dashes of a list stand out enough by themselves.
                _block(below, indent if isinstance(below, list) else indent + "  ", lines)
            else:
                lines.append(f"{head} {_scalar(below, indent)}")
    elif isinstance(value, list) and value:
        for below in value:
            first = len(lines)
            _block(below, indent + "  ", lines)
            lines[first] = f"{indent}- {lines[first][len(indent) + 2 :]}"
    else:
        lines.append(indent + _scalar(value, indent))


def _scalar(value: Any, indent: str) -> str:
    """:param indent: of what it belongs to."""
    if isinstance(value, str):
        return _as_it_stands(value, indent + "  ") or _text(value)
    text = json.dumps(value)
    # 1.1 knows no float without a point.
    return text.replace("e", ".0e") if isinstance(value, float) and "." not in text else text


def _as_it_stands(text: str, indent: str) -> str | None:
    """Text of several lines as a literal block (section 8.1.2); None: it cannot be one."""
    body = text.removesuffix("\n")
    lines = body.split("\n")
    if (
        len(lines) < 2
        or _NOT_AS_IT_STANDS.search(text)
        or any(line != line.rstrip() for line in lines)
        or not lines[0]
        or not lines[-1]
        or lines[0][0].isspace()
    ):
        return None
    mark = "|" if body != text else "|-"
    return "\n".join([mark, *(line and indent + line for line in lines)])


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return _NOT_PRINTABLE.sub(lambda sign: f"\\u{ord(sign[0]):04x}", quoted)

"""A document's bytes to a tree of dict, list and scalar values."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import attrs
import yaml

from toolforge_gateway.openapi.plain import DEPTH, NODES, NotPlain, plain

_WORDS: dict[str, bool | None] = {
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}")
_OCTAL = re.compile(r"0o[0-7]{1,300}")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,300}|[0-9]{1,300}(\.[0-9]{0,300})?)([eE][-+]?[0-9]{1,3})?")
_TAGGED: dict[str, re.Pattern[str]] = {
    "tag:yaml.org,2002:int": re.compile(
        f"{_INTEGER.pattern}|{_OCTAL.pattern}|{_HEXADECIMAL.pattern}"
    ),
    "tag:yaml.org,2002:float": _FLOAT,
    "tag:yaml.org,2002:bool": re.compile("true|false", re.IGNORECASE),
    "tag:yaml.org,2002:null": re.compile("null|~|", re.IGNORECASE),
}
_TEXT_TAGS = (None, "!", "tag:yaml.org,2002:str")
_MERGE = "".join(["<", "<"])
"""The key that puts another mapping's keys here (YAML 1.1), told from quoted text by identity."""
_COLLECTION_TAGS = (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's scanner where PyYAML was built with it: some eight times as fast."""


class Unreadable(Exception):
    """The bytes are no document; says why in a sentence."""


def read(data: bytes, media_type: str = "") -> dict[str, Any]:
    """Read JSON or YAML.

    Scalars of YAML follow the core schema of YAML 1.2 (section 10.3.2): `on`, `no`, `1:30` and
    `2026-08-18` are text, and so is every key.  Of 1.1 the merge key `<<` is known.  All that JSON
    cannot say is refused, and so are a key given twice, and a document that is nested more than
    `DEPTH` deep or has more than `NODES` values, each alias counted as what it stands for.

    :param data: UTF-8, with or without a byte order mark.
    :param media_type: the Content-Type it came with, with or without parameters.  One that names
        JSON settles it; any other leaves it to the bytes, since servers call YAML many things.
    :raise Unreadable: with a sentence that begins with a verb: `is not JSON: ...`.
    """
    if not data.strip():
        raise Unreadable("is empty")
    essence = media_type.partition(";")[0].strip().lower()
    told_json = essence.endswith(("/json", "+json"))
    if told_json or data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        try:
            return _mapping(_json(data))
        except Unreadable:
            # `{a: 1}` is YAML; JSON proper that is not good is told in JSON's words.
            if told_json or b'"' in data[:80]:
                raise
    return _mapping(_yaml(data))


def _mapping(tree: Any) -> dict[str, Any]:
    if not isinstance(tree, dict):
        raise Unreadable("is no object")
    try:
        plain(tree)
    except NotPlain as error:
        raise Unreadable(f"{error.what} at {error.location or 'its top'}") from None
    return tree


def _json(data: bytes) -> Any:
    try:
        return json.loads(
            data, object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer
        )
    except Unreadable:
        raise
    except RecursionError:
        raise Unreadable(f"is nested more than {DEPTH} deep") from None
    except UnicodeDecodeError:
        raise Unreadable("is not JSON: it is not written in UTF-8") from None
    except ValueError as error:
        raise Unreadable(f"is not JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        again = next(key for key in keys if keys.count(key) > 1)
        raise Unreadable(f"has {_shown(again)} twice in one object")
    return found


def _constant(word: str) -> Any:
    raise Unreadable(f"is not JSON: {word} is no number")


def _integer(text: str) -> int:
    if len(text) > 300:
        raise Unreadable("has a number of more than 300 digits")
    return int(text)


def _yaml(data: bytes) -> Any:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"is not UTF-8 text, from byte {error.start} on") from None
    try:
        return _Composer().document(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        problem = error.problem or error.context or "no reason given"
        raise Unreadable(f"is not YAML{where}: {_shown(problem, 200)}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Unreadable(f"is not YAML, line {line}: a character is not allowed") from None
    except (ValueError, OverflowError, RecursionError):
        # PyYAML hands an escape such as "\UFFFFFFFF" to chr() unchecked.
        raise Unreadable("is not YAML: an escape is no character") from None


@attrs.define
class _Open:
    """A collection whose end has not come; `key` is the one that waits for its value."""

    value: dict[str, Any] | list[Any]
    anchor: str | None
    line: int
    size: int = 1
    height: int = 1
    key: str | None = None
    merged: list[dict[str, Any]] = attrs.Factory(list)
    """What merge keys bring; what the mapping says itself comes first, wherever it stands."""

    def close(self) -> Any:
        """The value, whole."""
        if isinstance(self.value, dict):
            for each in self.merged:
                self.value.update({key: each[key] for key in each if key not in self.value})
        return self.value


class _Composer:
    """Events of PyYAML's parser to values.

    Not PyYAML's own composer, which recurses as deep as the text says, keeps the last of two
    equal keys, and has YAML 1.1's dates and booleans.
    """

    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int, int]] = {}

    def document(self, text: str) -> Any:
        root: Any = None
        documents = 0
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents == 2:
                    raise self._wrong(event, "a second document begins")
            elif isinstance(event, yaml.CollectionStartEvent):
                self._begin(event)
            elif isinstance(event, yaml.ScalarEvent | yaml.AliasEvent | yaml.CollectionEndEvent):
                value, size, height = self._node(event)
                if size > NODES or height + len(self._open) > DEPTH:
                    raise self._wrong(
                        event, f"it stands for more than {NODES} values or {DEPTH} levels"
                    )
                if self._open:
                    self._add(event, value, size, height)
                else:
                    root = value
        return root

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        if event.tag not in _COLLECTION_TAGS:
            raise self._wrong(event, f"the tag {_shown(event.tag)} is not known")
        if self._waits_for_key():
            raise self._wrong(event, "a key is no text")
        if len(self._open) >= DEPTH:
            raise self._wrong(event, f"it is nested more than {DEPTH} deep")
        value: dict[str, Any] | list[Any]
        value = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._open.append(_Open(value, event.anchor, _line(event)))

    def _node(
        self, event: yaml.ScalarEvent | yaml.AliasEvent | yaml.CollectionEndEvent
    ) -> tuple[Any, int, int]:
        if isinstance(event, yaml.CollectionEndEvent):
            done = self._open.pop()
            node = (done.close(), done.size, done.height)
            anchor = done.anchor
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise self._wrong(event, f"*{_shown(event.anchor)} stands for nothing")
            return self._anchors[event.anchor]
        else:
            node = (self._scalar(event), 1, 0)
            anchor = event.anchor
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _add(self, event: yaml.Event, value: Any, size: int, height: int) -> None:
        holder = self._open[-1]
        holder.size += size
        holder.height = max(holder.height, height + 1)
        if isinstance(holder.value, list):
            holder.value.append(value)
        elif holder.key is _MERGE:
            some = value if isinstance(value, list) else [value]
            if not all(isinstance(each, dict) for each in some):
                raise self._wrong(event, "a merge key (<<) stands before what is no mapping")
            holder.merged.extend(some)
            holder.key = None
        elif holder.key is not None:
            holder.value[holder.key] = value
            holder.key = None
        else:
            if not isinstance(value, str):  # of an alias
                raise self._wrong(event, "a key is no text")
            if value in holder.value or (value is _MERGE and holder.merged):
                raise self._wrong(event, f"the key {_shown(value)} is there twice")
            holder.key = value

    def _waits_for_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and not self._has_key()

    def _has_key(self) -> bool:
        return self._open[-1].key is not None

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        text = event.value
        if self._waits_for_key():
            # A status code is a key that looks like a number, and `on` one like a boolean.
            return _MERGE if text == "<<" and event.implicit[0] else text
        if event.tag in _TAGGED:
            if not _TAGGED[event.tag].fullmatch(text):
                raise self._wrong(event, f"{_shown(text)} is not what its tag says")
            value = _resolve(text.lower() if event.tag.endswith("bool") else text)
            return float(value) if event.tag.endswith("float") else value
        if event.tag not in _TEXT_TAGS:
            raise self._wrong(event, f"the tag {_shown(event.tag)} is not known")
        written_plain = event.implicit[0] and event.tag is None
        value = _resolve(text) if written_plain else text
        if isinstance(value, float) and not math.isfinite(value):
            raise self._wrong(event, f"{_shown(text)} is no number that JSON has")
        return value

    @staticmethod
    def _wrong(event: yaml.Event, what: str) -> Unreadable:
        return Unreadable(f"is not usable YAML, line {_line(event)}: {what}")


def _resolve(text: str) -> Any:
    """What an unquoted scalar stands for (YAML 1.2 section 10.3.2)."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEXADECIMAL.fullmatch(text):
        return int(text[2:], 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _shown(text: object, limit: int = 60) -> str:
    whole = str(text)
    short = whole if len(whole) <= limit else whole[:limit] + "..."
    return "'" + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in short) + "'"

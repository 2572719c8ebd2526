"""YAML text to a tree of nodes that know their lines.

PyYAML's parser (events of its `SafeLoader`) reads the text; the tree is put
together here rather than by PyYAML's composer because that one recurses as
deep as the text says, keeps the last of two equal keys, and lets a few lines
of aliases stand for gigabytes.

Scalars follow YAML 1.2's core schema in the part of it that people expect:
`true`/`false`, `null` (or nothing), decimal numbers; everything else is text.
So `no`, `on`, `0x10`, `1:30` and `2026-08-18` are text, where YAML 1.1 has a
boolean, a 16, a 90 and a date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import attrs
import yaml

from toolforge_gateway.config.values import Origin

MAXIMUM_DEPTH = 32
MAXIMUM_NODES = 20_000
"""With every alias counted as often as it is used."""

_TEXT_TAG = "tag:yaml.org,2002:str"
_WORDS: dict[str, bool | None] = {
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,2})?")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")

Path = tuple["str | int", ...]
"""Keys and indexes from the root: `("backends", 2, "name")`."""


@attrs.frozen
class Scalar:
    """A value without parts."""

    line: int
    value: str | int | float | bool | None
    size: int = 1
    height: int = 0


@attrs.frozen
class Sequence:
    """A list."""

    line: int
    items: tuple[Node, ...]
    size: int
    height: int


@attrs.frozen
class Entry:
    """A key and its value; the line is the key's."""

    line: int
    node: Node


@attrs.frozen
class Mapping:
    """A mapping with text keys, in the order of the file."""

    line: int
    entries: dict[str, Entry]
    size: int
    height: int


Node = Scalar | Sequence | Mapping


class Unreadable(Exception):
    """The text is no tree that anyone could work with."""

    def __init__(self, line: int | None, what: str, remedy: str):
        super().__init__(what)
        self.line = line
        self.what = what
        self.remedy = remedy


def dotted(path: Path) -> str:
    """`("backends", 2, "name")` as `backends[2].name`; odd keys quoted."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f'["{printable(step)}"]'
    return text


def printable(text: str, limit: int = 60) -> str:
    """The text in a form that is safe to show on a terminal, cut to `limit`."""
    short = text if len(text) <= limit else text[:limit] + "..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in short)


def plain(node: Node) -> object:
    """The node as dict, list and scalar values."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key: plain(entry.node) for key, entry in node.entries.items()}


def compose(text: str, complain: Callable[[Origin, str, str], None], file: str) -> Node | None:
    """Read one YAML document.

    :param complain: told of what is wrong but lets the reading go on.
    :param file: the file's name, for the complaints.
    :return: None when there is nothing but comments.
    :raise Unreadable: the syntax is broken, or the document is too large.
    """
    try:
        return _Composer(complain, file).document(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        problem = error.problem or error.context or "no reason given"
        raise Unreadable(line, f"is not YAML: {printable(problem, 200)}", _SYNTAX) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Unreadable(line, "has a character that YAML does not allow", "remove it") from None
    except (ValueError, OverflowError):
        # PyYAML hands an escape such as "\UFFFFFFFF" to chr() unchecked.
        raise Unreadable(None, "has an escape that is no character", _SYNTAX) from None


_SYNTAX = "check indentation, quotes and colons there and on the line before"


class _Composer:
    """Events to nodes, with a stack of open collections instead of recursion."""

    def __init__(self, complain: Callable[[Origin, str, str], None], file: str):
        self._complain = complain
        self._file = file
        self._anchors: dict[str, Node] = {}
        self._open: list[_Collection] = []

    def document(self, events: Iterator[yaml.Event]) -> Node | None:
        root: Node | None = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents == 2:
                    raise Unreadable(
                        _line(event), "has a second document", "keep one document in one file"
                    )
            elif isinstance(event, yaml.CollectionStartEvent):
                self._begin(event)
            elif isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
                node = self._node(event)
                if self._open:
                    self._open[-1].add(node, self)
                else:
                    root = node
        # Nothing but an empty scalar is what PyYAML makes of "---".
        return None if isinstance(root, Scalar) and root.value is None else root

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        if len(self._open) >= MAXIMUM_DEPTH:
            raise Unreadable(
                _line(event), f"is nested more than {MAXIMUM_DEPTH} deep", "make it flatter"
            )
        path = self._open[-1].path_of_next() if self._open else ()
        kind = _OpenMapping if isinstance(event, yaml.MappingStartEvent) else _OpenSequence
        self._open.append(kind(_line(event), path, event.anchor))
        self._check_tag(event, path)

    def _node(self, event: yaml.NodeEvent | yaml.CollectionEndEvent) -> Node:
        anchor: str | None
        if isinstance(event, yaml.CollectionEndEvent):
            collection = self._open.pop()
            node, anchor = collection.close(), collection.anchor
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise Unreadable(
                    _line(event),
                    f"*{printable(event.anchor)} stands for nothing",
                    f"write &{printable(event.anchor)} before a value further up",
                )
            node, anchor = self._anchors[event.anchor], None
        else:
            node, anchor = self._scalar(event), event.anchor
        if anchor is not None:
            self._anchors[anchor] = node
        if node.size > MAXIMUM_NODES or node.height + len(self._open) > MAXIMUM_DEPTH:
            raise Unreadable(
                _line(event),
                f"stands for more than {MAXIMUM_NODES} values or {MAXIMUM_DEPTH} levels",
                "use fewer aliases",
            )
        return node

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        path = self._open[-1].path_of_next() if self._open else ()
        self._check_tag(event, path)
        line = _line(event)
        if not event.value.isascii() and any("\ud800" <= c <= "\udfff" for c in event.value):
            raise Unreadable(line, "has an escape that is no character", _SYNTAX)
        written_plain = event.implicit[0] and event.tag is None
        return Scalar(line, resolve(event.value) if written_plain else event.value)

    def _check_tag(self, event: yaml.NodeEvent, path: Path) -> None:
        if event.tag not in (None, "!", _TEXT_TAG):
            origin = Origin(self._file, _line(event), dotted(path))
            self._complain(origin, f"has the tag {printable(event.tag)}", "remove the tag")

    def duplicate(self, line: int, path: Path, first: int) -> None:
        self._complain(
            Origin(self._file, line, dotted(path)),
            f"is given twice, first in line {first}",
            "keep one of them",
        )

    def no_key(self, line: int, path: Path) -> None:
        self._complain(
            Origin(self._file, line, dotted(path)), "has a key that is no text", "write a word"
        )


def resolve(text: str) -> str | int | float | bool | None:
    """What an unquoted scalar stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1


class _OpenSequence:
    def __init__(self, line: int, path: Path, anchor: str | None):
        self.anchor = anchor
        self._line = line
        self._path = path
        self._items: list[Node] = []

    def path_of_next(self) -> Path:
        return (*self._path, len(self._items))

    def add(self, node: Node, composer: _Composer) -> None:
        self._items.append(node)

    def close(self) -> Node:
        size, height = _measure(self._items)
        return Sequence(self._line, tuple(self._items), size, height)


class _OpenMapping:
    def __init__(self, line: int, path: Path, anchor: str | None):
        self.anchor = anchor
        self._line = line
        self._path = path
        self._entries: dict[str, Entry] = {}
        self._key: Scalar | None = None
        self._expects_key = True

    def path_of_next(self) -> Path:
        return self._path if self._key is None else (*self._path, self._text(self._key))

    def add(self, node: Node, composer: _Composer) -> None:
        if self._expects_key:
            self._expects_key = False
            if isinstance(node, Scalar):
                self._key = node
            else:
                composer.no_key(node.line, self._path)
            return
        self._expects_key = True
        if self._key is None:
            return
        key, line, self._key = self._text(self._key), self._key.line, None
        if key in self._entries:
            composer.duplicate(line, (*self._path, key), self._entries[key].line)
        else:
            self._entries[key] = Entry(line, node)

    def close(self) -> Node:
        size, height = _measure([entry.node for entry in self._entries.values()])
        return Mapping(self._line, self._entries, size, height)

    @staticmethod
    def _text(key: Scalar) -> str:
        return key.value if isinstance(key.value, str) else str(plain(key)).lower()


_Collection = _OpenSequence | _OpenMapping


def _measure(nodes: list[Node]) -> tuple[int, int]:
    size = 1 + sum(node.size for node in nodes)
    return size, 1 + max((node.height for node in nodes), default=0)

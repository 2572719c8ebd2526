"""A mapping of the file, read key by key: the loader's way and the plug-ins'.

Reading never raises.  What is wrong goes to a `Report`, and the reader gets
the default, so that one run finds everything there is to complain about.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

import attrs
from zope.interface import implementer

from toolforge_gateway.config import document
from toolforge_gateway.config.document import Mapping, Node, Scalar, Sequence, dotted, printable
from toolforge_gateway.config.values import Origin, SettingFile
from toolforge_gateway.errors import Complaint
from toolforge_gateway.interfaces import IOptions

Key = str | tuple["str | int", ...]
"""A key, or the way further down: `("superusers", "service:x", 0)`."""


@attrs.define
class Report:
    """Complaints and warnings, each kept once however often it is made."""

    _complaints: dict[Complaint, None] = attrs.field(factory=dict)
    _warnings: dict[Complaint, None] = attrs.field(factory=dict)

    def complain(self, origin: Origin, what: str, remedy: str = "") -> None:
        """Something is wrong: the configuration will not be used."""
        self._complaints[origin.complaint(what, remedy)] = None

    def warn(self, origin: Origin, what: str, remedy: str = "") -> None:
        """Something is odd: it will be used all the same."""
        self._warnings[origin.complaint(what, remedy)] = None

    @property
    def complaints(self) -> tuple[Complaint, ...]:
        """In the order of the file's lines."""
        return by_line(self._complaints)

    @property
    def warnings(self) -> tuple[Complaint, ...]:
        """In the order of the file's lines."""
        return by_line(self._warnings)


def by_line(complaints: Iterable[Complaint]) -> tuple[Complaint, ...]:
    """The complaints in the order of their lines, the file's own first."""
    return tuple(sorted(complaints, key=lambda complaint: complaint.line or 0))


@attrs.frozen
class Source:
    """What every part of one file shares."""

    name: str
    """The file's name as the operator wrote it."""
    folder: Path
    """Absolute; relative paths in the file start here."""


@implementer(IOptions)
class Options:
    """One mapping of the file.

    :param node: the mapping; None stands for an empty one.
    :param path: where it is, from the root.
    :param line: the line of the key that holds it; None for the root.
    """

    def __init__(
        self,
        source: Source,
        node: Mapping | None,
        path: document.Path,
        line: int | None,
        report: Report,
    ):
        self._source = source
        self._entries = node.entries if node is not None else {}
        self._path = path
        self._line = line
        self._report = report
        self._known: dict[str, None] = {}
        self._below: dict[document.Path, Options] = {}

    @property
    def origin(self) -> Origin:
        """Where the mapping itself is."""
        return Origin(self._source.name, self._line, dotted(self._path))

    @property
    def complaints(self) -> tuple[Complaint, ...]:
        """All complaints so far that share this mapping's report."""
        return self._report.complaints

    @property
    def warnings(self) -> tuple[Complaint, ...]:
        """All warnings so far that share this mapping's report."""
        return self._report.warnings

    def origin_of(self, key: Key) -> Origin:
        """Where a key, or something below it, is; as far down as it goes.

        :param key: `""` is the mapping itself.
        """
        if key == "":
            return self.origin
        steps = (key,) if isinstance(key, str) else key
        line = self._line
        node: Node | None = None
        for number, step in enumerate(steps):
            entries = self._entries if number == 0 else getattr(node, "entries", {})
            items = getattr(node, "items", ())
            if isinstance(step, str) and step in entries:
                line, node = entries[step].line, entries[step].node
            elif isinstance(step, int) and 0 <= step < len(items):
                node = items[step]
                line = node.line
            else:
                break
        return Origin(self._source.name, line, dotted((*self._path, *steps)))

    def complain(self, key: Key, what: str, remedy: str = "") -> None:
        """Record that something is wrong about this key."""
        self._report.complain(self.origin_of(key), what, remedy)

    def warn(self, key: Key, what: str, remedy: str = "") -> None:
        """Record that something is odd about this key but may stay."""
        self._report.warn(self.origin_of(key), what, remedy)

    def has(self, key: str) -> bool:
        """Whether the key is there, whatever its value."""
        self._known[key] = None
        return key in self._entries

    def text(self, key: str, default: str | None = None, required: bool = False) -> str | None:
        """A non-empty string of one line without control characters."""
        node = self._get(key, required)
        if node is None:
            return default
        text = self._as_text(key, node)
        return default if text is None else text

    def choice(self, key: str, choices: Iterable[str], default: str | None = None) -> str | None:
        """One of a few words; required when there is no default."""
        choices = tuple(choices)
        text = self.text(key, default, required=default is None)
        if text is None or text in choices:
            return text
        self.complain(
            key, f"is {shown(text)}", f"write {alternatives(choices)}{did_you_mean(text, choices)}"
        )
        return default

    def flag(self, key: str, default: bool = False) -> bool:
        """`true` or `false`; YAML 1.1's yes, no, on, off are text here."""
        node = self._get(key)
        if node is None:
            return default
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        self._wrong(key, node, "true or false")
        return default

    def number(
        self,
        key: str,
        default: float | None = None,
        required: bool = False,
        minimum: float | None = None,
        maximum: float | None = None,
        above: float | None = None,
    ) -> float | None:
        """An int or a float.

        :param minimum: the smallest value that is right.
        :param above: every right value is larger than this.
        """
        node = self._get(key, required)
        if node is None:
            return default
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._wrong(key, node, "a number", "write a plain decimal without a unit")
        elif minimum is not None and value < minimum:
            self.complain(key, f"is {value}", f"write {minimum} or more")
        elif above is not None and value <= above:
            self.complain(key, f"is {value}", f"write a number above {above}")
        elif maximum is not None and value > maximum:
            self.complain(key, f"is {value}", f"write {maximum} or less")
        else:
            return value
        return default

    def whole(
        self,
        key: str,
        default: int | None = None,
        required: bool = False,
        minimum: int | None = None,
        maximum: int | None = None,
    ) -> int | None:
        """An int."""
        value = self.number(key, None, required, minimum, maximum)
        if isinstance(value, float):
            self.complain(key, f"is {value}", "write a whole number")
            return default
        return default if value is None else value

    def texts(self, key: str, default: Iterable[str] = ()) -> tuple[str, ...]:
        """A list of strings, each as `text` wants it; it may be empty."""
        node = self._get(key)
        if node is None:
            return tuple(default)
        if not isinstance(node, Sequence):
            self._wrong(key, node, "a list", 'write ["..."]')
            return tuple(default)
        texts = [self._as_text((key, n), item) for n, item in enumerate(node.items)]
        return tuple(default) if None in texts else tuple(filter(None, texts))

    def raw(self, key: str, default: object = None) -> object:
        """Any value as dict, list, str, int, float, bool or None."""
        self._known[key] = None
        return document.plain(self._entries[key].node) if key in self._entries else default

    def file(self, key: str, required: bool = False) -> Path | None:
        """An absolute path; in the file it starts at the file's folder."""
        text = self.text(key, required=required)
        return None if text is None else self._source.folder / text

    def setting_file(self, key: str, required: bool = False) -> SettingFile | None:
        """The same with its origin."""
        path = self.file(key, required)
        return None if path is None else SettingFile(path, self.origin_of(key))

    def section(self, key: str, required: bool = False) -> Options | None:
        """A mapping below this one; None when it is absent or is none."""
        node = self._get(key, required)
        if node is None:
            return None
        if not isinstance(node, Mapping):
            self._wrong(key, node, "a mapping", "write keys and values below it")
            return None
        return self._descend((key,), node, self._entries[key].line, self._report)

    def sections(
        self, key: str, required: bool = False, own_reports: bool = False
    ) -> tuple[Options, ...]:
        """A list of mappings; those of its items that are none are left out.

        :param own_reports: give each a report of its own, for readers who
            come after the loader.
        """
        node = self._get(key, required)
        if node is None:
            return ()
        if not isinstance(node, Sequence):
            self._wrong(key, node, "a list", "put '- ' before each entry")
            return ()
        found = []
        for n, item in enumerate(node.items):
            if isinstance(item, Mapping):
                report = Report() if own_reports else self._report
                found.append(self._descend((key, n), item, item.line, report))
            else:
                self._wrong((key, n), item, "a mapping", "write keys and values below it")
        return tuple(found)

    def finish(self) -> None:
        """Complain about every key that was never read, here and below.

        Sections with a report of their own are finished by their readers.
        """
        for key in self._entries:
            if key == "<<":
                self.complain(key, "is a merge key", "write the merged keys out")
            elif key not in self._known:
                self.complain(key, "is no key that is known here", self._instead_of(key))
        for below in self._below.values():
            if below._report is self._report:
                below.finish()

    def _get(self, key: str, required: bool = False) -> Node | None:
        self._known[key] = None
        entry = self._entries.get(key)
        if entry is None:
            if required:
                self.complain(key, "is missing", "add it")
            return None
        if isinstance(entry.node, Scalar) and entry.node.value is None:
            self.complain(
                key, "has no value", "give it one" if required else "give it one or remove the key"
            )
            return None
        return entry.node

    def _as_text(self, key: Key, node: Node) -> str | None:
        value = node.value if isinstance(node, Scalar) else None
        if not isinstance(value, str):
            self._wrong(key, node, "text", 'put it in quotes, "..."' if value is not None else "")
        elif not value or value.isspace():
            self.complain(key, "is empty", "give it a value")
        elif not value.isprintable():
            self.complain(
                key, f"has a control character: {shown(value)}", "write one line of printable text"
            )
        else:
            return value
        return None

    def _wrong(self, key: Key, node: Node, wanted: str, remedy: str = "") -> None:
        if isinstance(node, Scalar):
            found = "empty" if node.value is None else shown(node.value)
        else:
            found = "a list" if isinstance(node, Sequence) else "a mapping"
        self.complain(key, f"is {found}, not {wanted}", remedy or f"write {wanted}")

    def _descend(self, steps: document.Path, node: Mapping, line: int, report: Report) -> Options:
        if steps not in self._below:
            path = (*self._path, *steps)
            self._below[steps] = Options(self._source, node, path, line, report)
        return self._below[steps]

    def _instead_of(self, key: str) -> str:
        close = difflib.get_close_matches(key, self._known, n=1)
        if close:
            return f"did you mean {close[0]}?"
        if self._known:
            return f"known keys: {', '.join(self._known)}"
        return "remove it"


def shown(value: object) -> str:
    """A value as a complaint shows it: short, and safe on a terminal."""
    if isinstance(value, str):
        return f"'{printable(value)}'"
    return str(value).lower() if isinstance(value, bool) else str(value)


def alternatives(words: Iterable[str]) -> str:
    """`optional, required or none`."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """A hint to append, or "" when nothing is close."""
    close = difflib.get_close_matches(word, tuple(words), n=1)
    return f" (did you mean {close[0]}?)" if close else ""

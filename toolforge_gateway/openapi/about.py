"""What an API says of itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from toolforge_gateway.openapi.names import PartNames
from toolforge_gateway.openapi.part import Part
from toolforge_gateway.openapi.record import Record


@attrs.frozen
class About:
    """Carries over title, licence, contact and the like, as tags and word for word."""

    part: Part
    record: Record
    names: PartNames

    def tags(
        self, tags: list[dict[str, Any]], shown: Iterable[str], docs: Any
    ) -> list[dict[str, Any]]:
        """The tags of the API, the one that describes it first.

        :param tags: those that the document describes.
        :param shown: those that its operations have.
        :param docs: its `externalDocs`, or None.
        """
        first: dict[str, Any] = {"name": self.names.tag(None), "description": self._words()}
        if docs is not None:
            first["externalDocs"] = docs
        found = {first["name"]: first}
        for n, tag in enumerate(tags):
            name = self.names.tag(tag["name"])
            if name in found:
                self.record.warn(("tags", str(n)), "is there twice", "keep one of them")
            else:
                found[name] = {**tag, "name": name}
        for name in map(self.names.tag, shown):
            found.setdefault(name, {"name": name})
        return list(found.values())

    def _words(self) -> str:
        """What the document says of itself, as Markdown."""
        info = self._info()
        title = _text(info.get("title")) or self.part.api
        version = _text(info.get("version"))
        lines = [f"**{title}**" + (f", version {version}" if version else "")]
        lines.extend(filter(None, (_text(info.get("summary")), _text(info.get("description")))))
        contact, licence = info.get("contact"), info.get("license")
        known = [_named("Contact", contact), _named("Licence", licence)]
        terms = _text(info.get("termsOfService"))
        known.append(f"[Terms of service]({terms})" if terms else "")
        lines.extend(["; ".join(filter(None, known))] if any(known) else [])
        return "\n\n".join(lines)

    def _info(self) -> dict[str, Any]:
        info = self.record.document.get("info")
        return info if isinstance(info, dict) else {}

    def about(self, docs: Any) -> dict[str, Any]:
        """What `x-toolforge-gateway` says of the API."""
        document = self.record.document
        found = {
            "path": self.part.prefix,
            "openapi": document["openapi"],
            "info": self._info(),
        }
        if docs is not None:
            found["externalDocs"] = docs
        found.update({key: value for key, value in document.items() if key.startswith("x-")})
        return found


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _named(what: str, value: Any) -> str:
    """A contact or a licence in a few words."""
    if not isinstance(value, dict):
        return ""
    name = _text(value.get("name")) or _text(value.get("identifier"))
    url, mail = _text(value.get("url")), _text(value.get("email"))
    words = f"[{name or url}]({url})" if url else name
    if mail:
        words = f"{words} <{mail}>".strip()
    return f"{what}: {words}" if words else ""

"""What things are called in the merged document.

A name is the API's and its own, whatever else is there: so it stays the same when another API
appears.  Only where two such names are equal letter by letter does the later one get a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import attrs

from toolforge_gateway.openapi.pointer import Place

CERTIFICATE = "clientCertificate"
TOKEN = "deployToken"

_SEPARATOR = re.compile(r"[^A-Za-z0-9]+")
_NOT_IN_COMPONENTS = re.compile(r"[^a-zA-Z0-9._-]")
_NOT_IN_WORDS = re.compile(r"[^A-Za-z0-9]+")

Warn = Callable[[Place, str, str], None]


def capitalised(api: str) -> str:
    """`builds` as `Builds`, `jobs-beta` as `JobsBeta`."""
    return "".join(word[:1].upper() + word[1:] for word in _SEPARATOR.split(api)) or "Api"


@attrs.define
class Taken:
    """The names of one kind."""

    exact: set[str] = attrs.Factory(set)
    by_lower: dict[str, str] = attrs.Factory(dict)
    """The first one of those that only differ in case."""

    def add(self, name: str) -> None:
        """Nobody else may have it."""
        self.exact.add(name)
        self.by_lower.setdefault(name.lower(), name)


def _ours() -> dict[str, Taken]:
    schemes = Taken()
    schemes.add(CERTIFICATE)
    schemes.add(TOKEN)
    return {"securitySchemes": schemes}


@attrs.define
class Names:
    """The names of all APIs so far."""

    taken: dict[str, Taken] = attrs.Factory(_ours)
    """By kind."""

    def of(self, api: str, warn: Warn) -> PartNames:
        """For one part: nothing is taken before `keep`."""
        return PartNames(api, self, warn)


@attrs.define
class PartNames:
    """The names of one API."""

    api: str
    names: Names
    warn: Warn
    own: dict[str, Taken] = attrs.Factory(dict)
    _numbers: dict[tuple[str, str], int] = attrs.Factory(dict)

    def keep(self) -> None:
        """The part is good: later ones must do without these names."""
        for kind, own in self.own.items():
            taken = self.names.taken.setdefault(kind, Taken())
            for name in own.exact:
                taken.add(name)

    def component(self, section: str, name: str, at: Place) -> str:
        """`Build` of builds is `BuildsBuild`."""
        clean = _NOT_IN_COMPONENTS.sub("_", name)
        if clean != name:
            self.warn(
                at,
                f"has a name with other signs than letters, digits, - . _; now {clean}",
                "rename",
            )
        return self._take(section, capitalised(self.api) + clean, at)

    def webhook(self, name: str, at: Place) -> str:
        """As components are."""
        return self._take("webhooks", capitalised(self.api) + name, at)

    def operation(self, name: str | None, method: str, path: str, at: Place) -> str:
        """`list_jobs` of jobs is `jobs_list_jobs`.

        :param name: None: made of the method and the path in the backend's document.
        """
        words = name or "_".join(filter(None, [method, *_NOT_IN_WORDS.split(path)]))
        first = _NOT_IN_WORDS.sub("_", self.api).strip("_") or "api"
        return self._take("operationId", f"{first}_{words}", at)

    def tag(self, name: str | None) -> str:
        """`images` of jobs is `jobs: images`; what has no tag is in `jobs`."""
        return self.api if name is None else f"{self.api}: {name}"

    def _take(self, kind: str, wanted: str, at: Place) -> str:
        theirs = self.names.taken.get(kind) or Taken()
        own = self.own.setdefault(kind, Taken())
        lower = wanted.lower()
        other = own.by_lower.get(lower) or theirs.by_lower.get(lower)
        name = wanted
        if other is not None:
            number = self._numbers.get((kind, wanted), 1)
            while name in own.exact or name in theirs.exact:
                number += 1
                name = f"{wanted}_{number}"
            self._numbers[kind, wanted] = number
            self._tell(wanted, name, other, at)
        own.add(name)
        return name

    def _tell(self, wanted: str, name: str, other: str, at: Place) -> None:
        if name != wanted:
            self.warn(at, f"would be a second {wanted}; it is {name}", "choose another name")
        else:
            self.warn(
                at,
                f"is {wanted}, which only differs in case from {other}",
                "choose another name: some client generators make one file of both",
            )

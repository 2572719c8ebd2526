"""A sample of the envvars API: a tool's environment variables."""

from __future__ import annotations

import re
from collections.abc import Iterable

from twisted.internet.interfaces import IReactorTime

from toolforge_gateway.demo.sample import (
    TOOL_HEADER,
    Answer,
    Call,
    Endpoint,
    Refused,
    SampleAPI,
)
from toolforge_gateway.routing import PathTemplate

QUOTA = 10
_NAME = re.compile(r"[A-Z][A-Z0-9_]{2,}")


class Envvars(SampleAPI):
    """Variables are kept per tool, by name; the path names the tool."""

    name = "envvars"
    document_kind = "application/yaml"
    redirects_slashes = False

    def __init__(self, clock: IReactorTime):
        super().__init__(clock)
        self.values: dict[str, dict[str, str]] = {}

    def endpoints(self) -> Iterable[Endpoint]:
        """Without trailing slashes."""
        tool = "/v1/tool/{toolname}"
        yield Endpoint("GET", PathTemplate(tool + "/envvars"), self.list_envvars)
        yield Endpoint("POST", PathTemplate(tool + "/envvars"), self.create_envvar)
        yield Endpoint("GET", PathTemplate(tool + "/envvars/{name}"), self.get_envvar)
        yield Endpoint("DELETE", PathTemplate(tool + "/envvars/{name}"), self.delete_envvar)
        yield Endpoint("GET", PathTemplate(tool + "/quotas"), self.get_quota)

    def authenticate(self, call: Call) -> None:
        """Refuse a call without identity with 401."""
        if not any(call.header_tools):
            raise Refused(401, f"Unauthorized: the '{TOOL_HEADER}' header is missing")

    def list_envvars(self, call: Call) -> Answer:
        """All variables of the tool, by name."""
        values = self._of(call)
        found = [{"name": name, "value": values[name]} for name in sorted(values)]
        return Answer({"envvars": found, "messages": {}})

    def create_envvar(self, call: Call) -> Answer:
        """Set a variable, whether it is there or not."""
        given = call.json()
        name, value = given.get("name"), given.get("value")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise Refused(
                400,
                f"Invalid envvar name '{name}': use at least three upper-case letters, "
                "digits and '_', a letter first",
            )
        if not isinstance(value, str):
            raise Refused(400, "Invalid envvar value: it must be a string")
        self._of(call)[name] = value
        return Answer({"envvar": {"name": name, "value": value}, "messages": {}})

    def get_envvar(self, call: Call) -> Answer:
        """One variable."""
        return Answer({"envvar": self._envvar(call), "messages": {}})

    def delete_envvar(self, call: Call) -> Answer:
        """Forget a variable; the answer has its last value."""
        envvar = self._envvar(call)
        del self._of(call)[envvar["name"]]
        return Answer({"envvar": envvar, "messages": {}})

    def get_quota(self, call: Call) -> Answer:
        """How many variables there are, and may be."""
        return Answer({"quota": {"quota": QUOTA, "used": len(self._of(call))}, "messages": {}})

    def _of(self, call: Call) -> dict[str, str]:
        return self.values.setdefault(call.tool, {})

    def _envvar(self, call: Call) -> dict[str, str]:
        name = call.places["name"]
        try:
            return {"name": name, "value": self._of(call)[name]}
        except KeyError:
            raise Refused(404, f"Envvar '{name}' does not exist") from None

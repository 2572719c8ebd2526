"""A sample of the builds API: a tool's builds, and the log of each."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from twisted.internet.interfaces import IReactorTime

from toolforge_gateway.demo.sample import (
    JSON,
    Answer,
    Call,
    Endpoint,
    Refused,
    SampleAPI,
    Stream,
)
from toolforge_gateway.routing import PathTemplate

_URL = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")


class Builds(SampleAPI):
    """Builds are kept per tool, and the *header* names the tool.

    So a gateway that sends a wrong one, or two, shows here at once.
    """

    name = "builds"
    redirects_slashes = False

    def __init__(self, clock: IReactorTime):
        super().__init__(clock)
        self.builds: dict[str, dict[str, JSON]] = {}
        self._numbers = itertools.count(1)

    def endpoints(self) -> Iterable[Endpoint]:
        """Without trailing slashes."""
        tool = "/v1/tool/{toolname}"
        for method, path, handler in [
            ("GET", "/builds", self.list_builds),
            ("POST", "/builds", self.start_build),
            ("GET", "/builds/latest", self.get_latest),
            ("GET", "/builds/{build}", self.get_build),
            ("DELETE", "/builds/{build}", self.delete_build),
            ("PUT", "/builds/{build}/cancel", self.cancel_build),
            ("GET", "/builds/{build}/logs", self.get_logs),
            ("GET", "/quotas", self.get_quota),
            ("POST", "/clean", self.clean),
        ]:
            yield Endpoint(method, PathTemplate(tool + path), handler)

    def authenticate(self, call: Call) -> None:
        """Refuse anything but one value of the header with 401."""
        tools = call.header_tools
        if not tools:
            raise Refused(401, "Unauthorized: no tool authentication header")
        if len(tools) != 1 or not tools[0]:
            raise Refused(
                401,
                f"got an unexpected value for the tool authentication header: [{' '.join(tools)}]",
            )

    def list_builds(self, call: Call) -> Answer:
        """All builds of the tool, the newest first."""
        return Answer({"builds": [*self._of(call).values()][::-1], "messages": {}})

    def start_build(self, call: Call) -> Answer:
        """Start a build, which succeeds at once."""
        given = call.json()
        source = given.get("source_url")
        if not isinstance(source, str) or not _URL.fullmatch(source):
            raise Refused(400, f"Bad parameters passed: '{source}' is no https URL")
        for key in ("ref", "image_name"):
            if not isinstance(given.get(key) or "", str):
                raise Refused(400, f"Bad parameters passed: '{key}' is no text")
        envvars = given.get("envvars") or {}
        if not isinstance(envvars, dict) or not all(isinstance(v, str) for v in envvars.values()):
            raise Refused(400, "Bad parameters passed: 'envvars' are no names with texts")
        tool = call.header_tools[0]
        now = datetime.fromtimestamp(self.clock.seconds(), UTC)
        build_id = f"{tool}-buildpacks-pipelinerun-{next(self._numbers):05}"
        parameters = {
            "source_url": source,
            "ref": given.get("ref") or "",
            "image_name": given.get("image_name") or tool,
            "envvars": envvars,
            "use_latest_versions": bool(given.get("use_latest_versions")),
        }
        self._of(call)[build_id] = {
            "build_id": build_id,
            "start_time": now.isoformat(),
            "end_time": now.isoformat(),
            "status": "BUILD_SUCCESS",
            "message": "Tasks Completed: 1 (Failed: 0, Cancelled 0), Skipped: 0",
            "parameters": parameters,
            "destination_image": (
                f"tools-harbor.wmcloud.org/tool-{tool}/{parameters['image_name']}:latest"
            ),
        }
        return Answer({"new_build": {"name": build_id, "parameters": parameters}, "messages": {}})

    def get_latest(self, call: Call) -> Answer:
        """The newest build."""
        builds = [*self._of(call).values()]
        if not builds:
            raise Refused(404, f"No builds exist for tool '{call.header_tools[0]}'")
        return Answer({"build": builds[-1], "messages": {}})

    def get_build(self, call: Call) -> Answer:
        """One build."""
        return Answer({"build": self._build(call), "messages": {}})

    def delete_build(self, call: Call) -> Answer:
        """Forget a build."""
        build_id = self._build(call)["build_id"]
        del self._of(call)[build_id]
        return Answer({"id": build_id, "messages": {}})

    def cancel_build(self, call: Call) -> Answer:
        """All builds have ended already: nothing is cancelled."""
        raise Refused(409, f"Build '{self._build(call)['build_id']}' cannot be cancelled, it ended")

    def get_logs(self, call: Call) -> Stream:
        """The log of a build; the head comes at once, lines when there are any."""
        self._build(call)
        if not call.flag("follow"):
            return Stream(itertools.islice(self._lines(), 3), interval=0)
        return Stream(self._lines(), silence=1.0)

    def get_quota(self, call: Call) -> Answer:
        """How much space images take, and may take."""
        item = {"name": "Available storage", "used": "0MiB", "limit": "1024MiB"}
        return Answer(
            {"quota": {"categories": [{"name": "Registry", "items": [item]}]}, "messages": {}}
        )

    def clean(self, call: Call) -> Answer:
        """Forget all builds."""
        self._of(call).clear()
        return Answer({"messages": {"info": ["All builds and images are gone."]}})

    @staticmethod
    def _lines() -> Iterator[JSON]:
        return ({"line": f"[step-build] line {number}"} for number in itertools.count(1))

    def _of(self, call: Call) -> dict[str, JSON]:
        return self.builds.setdefault(call.header_tools[0], {})

    def _build(self, call: Call) -> JSON:
        build_id = call.places["build"]
        try:
            return self._of(call)[build_id]
        except KeyError:
            raise Refused(
                404,
                f"Build '{build_id}' does not exist or belong to tool '{call.header_tools[0]}'. "
                "Double check the name and try again.",
            ) from None

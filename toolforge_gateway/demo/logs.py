"""A sample of the logs API: pages of a job's log, and the log as it grows."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from urllib.parse import urlencode

from twisted.internet.interfaces import IReactorTime

from toolforge_gateway.demo.jobs import log_line
from toolforge_gateway.demo.sample import JSON, Answer, Call, Endpoint, Refused, SampleAPI, Stream
from toolforge_gateway.routing import PathTemplate

LINES = 5
"""How many entries the log of each job has before it is followed."""
PAGE = 2


class Logs(SampleAPI):
    """Every job of every tool has the same log."""

    name = "logs"

    def __init__(self, clock: IReactorTime):
        super().__init__(clock)
        self.pushed: list[tuple[str, JSON]] = []
        """(tool, entry) of all that other services have sent."""

    def endpoints(self) -> Iterable[Endpoint]:
        """Two ways to read, and one for services to add to a log."""
        tool = "/v1/tool/{toolname}"
        yield Endpoint("GET", PathTemplate(tool + "/job/{job}/logs"), self.get_page)
        yield Endpoint("GET", PathTemplate(tool + "/job/{job}/logs_stream"), self.follow)
        yield Endpoint("POST", PathTemplate(tool + "/source/{source}/log"), self.push)

    def get_page(self, call: Call) -> Answer:
        """A page of entries and, while there are more, a relative link to the next."""
        try:
            at = int(call.query.get("cursor", "0"))
            wanted = int(call.query.get("lines", LINES))
        except ValueError:
            raise Refused(422, "'cursor' and 'lines' must be numbers") from None
        if at < 0 or wanted < 1:
            raise Refused(422, "'cursor' must be 0 or more, 'lines' 1 or more")
        now = self.clock.seconds()
        entries = [log_line(now - LINES + number, number) for number in range(1, LINES + 1)]
        if call.query.get("direction") == "newest_first":
            entries.reverse()
        data: JSON = {"logs": entries[:wanted][at : at + PAGE]}
        if at + PAGE < min(wanted, LINES):
            parameters = {**call.query, "cursor": str(at + PAGE)}
            data["next"] = {"url": "?" + urlencode(parameters)}
        return Answer({"data": data, "messages": {}})

    def follow(self, call: Call) -> Stream:
        """The log from now on, a line a second, until the reader has enough."""
        return Stream(log_line(self.clock.seconds(), number) for number in itertools.count(1))

    def push(self, call: Call) -> Answer:
        """Add an entry; which service may do so is the gateway's to know."""
        self.pushed.append((call.tool, call.json()))
        return Answer({"messages": {}}, 201)

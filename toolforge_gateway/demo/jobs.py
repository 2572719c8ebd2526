"""A sample of the jobs API: a tool's jobs, and the logs of each."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
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

IMAGES = {
    "bookworm": "docker-registry.tools.wmflabs.org/toolforge-bookworm-sssd:latest",
    "python3.11": "docker-registry.tools.wmflabs.org/toolforge-python311-sssd-base:latest",
}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,50}[a-z0-9])?")
_STATUS = {"short": "running", "duration": "1m24s", "messages": [], "up_to_date": True}


def log_line(seconds: float, number: int) -> JSON:
    """One entry of a log, as jobs and logs write it.

    :param seconds: POSIX time of the entry.
    """
    return {
        "pod": "sample-5d8f9c-x2x7k",
        "container": "job",
        "datetime": datetime.fromtimestamp(seconds, UTC).isoformat(),
        "message": f"line {number}",
    }


class Jobs(SampleAPI):
    """Jobs are kept per tool, by name; the path names the tool."""

    name = "jobs"

    def __init__(self, clock: IReactorTime):
        super().__init__(clock)
        self.jobs: dict[str, dict[str, JSON]] = {}

    def endpoints(self) -> Iterable[Endpoint]:
        """Lists end in a slash here, as the command line asks for them."""
        tool = "/v1/tool/{toolname}"
        for method, path, handler in [
            ("GET", "/jobs/", self.list_jobs),
            ("POST", "/jobs/", self.create_job),
            ("PATCH", "/jobs/", self.update_job),
            ("DELETE", "/jobs/", self.flush_jobs),
            ("GET", "/jobs/{job}", self.get_job),
            ("DELETE", "/jobs/{job}", self.delete_job),
            ("POST", "/jobs/{job}/restart", self.restart_job),
            ("GET", "/jobs/{job}/logs", self.get_logs),
            ("GET", "/images/", self.list_images),
            ("GET", "/quotas/", self.get_quota),
        ]:
            yield Endpoint(method, PathTemplate(tool + path), handler)

    def list_jobs(self, call: Call) -> Answer:
        """All jobs of the tool, by name."""
        jobs = self._of(call)
        return Answer({"jobs": [jobs[name] for name in sorted(jobs)], "messages": {}})

    def create_job(self, call: Call) -> Answer:
        """Start a job; its name must be new."""
        job = self._read(call)
        if job["name"] in self._of(call):
            raise Refused(409, f"A job with the name '{job['name']}' exists already")
        self._of(call)[job["name"]] = job
        return Answer({"job": job, "messages": {}}, 201)

    def update_job(self, call: Call) -> Answer:
        """Start a job or change it."""
        job = self._read(call)
        changed = self._of(call).get(job["name"]) != job
        self._of(call)[job["name"]] = job
        return Answer({"job_changed": changed, "messages": {}})

    def flush_jobs(self, call: Call) -> Answer:
        """Delete all jobs of the tool."""
        self._of(call).clear()
        return Answer({"messages": {}})

    def get_job(self, call: Call) -> Answer:
        """One job."""
        return Answer({"job": self._job(call), "messages": {}})

    def delete_job(self, call: Call) -> Answer:
        """Stop a job and forget it."""
        del self._of(call)[self._job(call)["name"]]
        return Answer({"messages": {}})

    def restart_job(self, call: Call) -> Answer:
        """Nothing runs, so nothing happens."""
        self._job(call)
        return Answer({"messages": {}})

    def get_logs(self, call: Call) -> Stream:
        """The log of a job; the response head comes with its first line."""
        self._job(call)
        if not call.flag("follow"):
            return Stream(itertools.islice(self._lines(), 3), interval=0, early_head=False)
        return Stream(self._lines(), early_head=False)

    def list_images(self, call: Call) -> Answer:
        """The images that a job can have."""
        images = [{"shortname": short, "image": image} for short, image in IMAGES.items()]
        return Answer({"images": images, "messages": {}})

    def get_quota(self, call: Call) -> Answer:
        """How many jobs there are, and may be."""
        item = {"name": "Continuous jobs", "used": str(len(self._of(call))), "limit": "16"}
        return Answer(
            {"quota": {"categories": [{"name": "Job limits", "items": [item]}]}, "messages": {}}
        )

    def _lines(self) -> Iterator[JSON]:
        return (log_line(self.clock.seconds(), number) for number in itertools.count(1))

    def _of(self, call: Call) -> dict[str, JSON]:
        return self.jobs.setdefault(call.tool, {})

    def _job(self, call: Call) -> JSON:
        name = call.places["job"]
        try:
            return self._of(call)[name]
        except KeyError:
            raise Refused(404, f"Job '{name}' does not exist") from None

    def _read(self, call: Call) -> JSON:
        given = call.json()
        for key in ("name", "cmd", "imagename"):
            if not isinstance(given.get(key), str):
                raise Refused(400, f"Invalid job: '{key}' is required and must be a string")
        if not _NAME.fullmatch(given["name"]):
            raise Refused(
                400,
                f"Invalid job name '{given['name']}': use lower-case letters, digits, '-' and '.'",
            )
        if given["imagename"] not in IMAGES:
            raise Refused(400, f"No such container image '{given['imagename']}'")
        job = {"job_type": "one-off", **_COMMON, **{k: given[k] for k in _KNOWN if k in given}}
        for key, fits in _KNOWN.items():
            if key in job and not fits(job[key]):
                raise Refused(400, f"Invalid job: '{key}' has a value that it cannot have")
        if job["job_type"] == "scheduled" and "schedule" not in job:
            raise Refused(400, "Invalid job: a scheduled job needs a 'schedule'")
        return {**job, "status": dict(_STATUS)}


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _one_of(*words: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and value in words


def _number(low: int, high: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _or_nothing(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or fits(value)


_KNOWN: Mapping[str, Callable[[object], bool]] = {
    "name": _is_text,
    "cmd": _is_text,
    "imagename": _is_text,
    "job_type": _one_of("one-off", "continuous", "scheduled"),
    "filelog": _is_flag,
    "emails": _one_of("none", "all", "onfinish", "onfailure"),
    "mount": _one_of("none", "all"),
    "memory": _or_nothing(_is_text),
    "cpu": _or_nothing(_is_text),
    "retry": _number(0, 5),
    "port": _or_nothing(_number(1, 65535)),
    "replicas": _number(1, 10),
    "schedule": _is_text,
}
"""What a job may say, and how a value looks that it may have; the rest is dropped."""
_COMMON = {
    "image_state": "stable",
    "filelog": False,
    "emails": "none",
    "mount": "all",
    "retry": 0,
}

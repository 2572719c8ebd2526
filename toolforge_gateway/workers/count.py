"""How many workers `auto` is."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP = Path("/proc/self/cgroup")
MOUNT = Path("/sys/fs/cgroup")


def usable_cpus(affinity: int | None = None, cgroup: Path = CGROUP, mount: Path = MOUNT) -> int:
    """The CPUs that this process may use at once, by its affinity and its control group's quota.

    A quota of one and a half CPUs makes two: each worker then waits a little, and none of the
    time that we are allowed is left.

    :param affinity: how many CPUs the scheduler may choose from; by default it is asked.
    :param cgroup: where the kernel says which control group this is (cgroups(7)).
    :param mount: where control groups are.
    :return: at least 1.
    """
    cpus = len(os.sched_getaffinity(0)) if affinity is None else affinity
    quotas = [*_unified(cgroup, mount), *_former(mount)]
    return max(1, min([cpus, *(math.ceil(quota) for quota in quotas)]))


def _unified(cgroup: Path, mount: Path) -> list[float]:
    """Quotas of version 2: those of all groups that this one is in count."""
    found = []
    for line in _read(cgroup).splitlines():
        if not line.startswith("0::/"):
            continue
        group = Path(line[len("0::/") :])
        if ".." in group.parts:
            continue
        for folder in (group, *group.parents):
            quota, _, period = _read(mount / folder / "cpu.max").strip().partition(" ")
            if quota.isdigit() and period.isdigit() and int(period) > 0:
                found.append(int(quota) / int(period))
    return found


def _former(mount: Path) -> list[float]:
    """Version 1, as a container sees its own group."""
    for folder in ("cpu", "cpu,cpuacct"):
        quota = _read(mount / folder / "cpu.cfs_quota_us").strip()
        period = _read(mount / folder / "cpu.cfs_period_us").strip()
        if quota.isdigit() and period.isdigit() and int(period) > 0:
            return [int(quota) / int(period)]
    return []


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""

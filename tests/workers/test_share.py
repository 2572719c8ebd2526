"""Limits are totals, and each worker gets its share; `auto` is what we may use."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.workers.crew import configuration
from toolforge_gateway.workers.count import usable_cpus
from toolforge_gateway.workers.share import part, share_of


class ShareTests(SynchronousTestCase):
    @given(st.integers(1, 10**6), st.integers(1, 256))
    def test_parts(self, total: int, count: int) -> None:
        """The parts make up the total and differ by one at most; nobody gets nothing."""
        parts = [part(total, index, count) for index in range(count)]
        self.assertEqual(sum(parts), max(total, count))
        self.assertLessEqual(max(parts) - min(parts), 1)
        self.assertGreaterEqual(min(parts), 1)

    def test_limits(self) -> None:
        """What counts connections and requests is divided, what bounds one request is not."""
        whole = configuration(
            2,
            "limits: {connections: 11, requests: 7, connections_per_address: 5, headers: 50}\n"
            "backends: [{name: jobs, path: /jobs, url: 'https://jobs:1', "
            "limits: {requests: 3, queue: 0}}, "
            "{name: b, path: /b, url: 'https://b:1', limits: {requests: 3, queue: 9}}]",
        )
        first, second = (share_of(whole, index, 2) for index in (0, 1))
        self.assertEqual((first.limits.connections, second.limits.connections), (6, 5))
        self.assertEqual((first.limits.requests, second.limits.requests), (4, 3))
        self.assertEqual(first.limits.connections_per_address, 3)
        self.assertEqual(second.limits.connections_per_address, 3)
        self.assertEqual(first.limits.headers, 50)
        self.assertEqual([each.limits.requests for each in first.backends], [2, 2])
        self.assertEqual([each.limits.requests for each in second.backends], [1, 1])
        self.assertEqual([each.limits.queue for each in first.backends], [0, 5])
        self.assertEqual(share_of(whole, 0, 1), whole)

    def test_no_bound(self) -> None:
        """What has no bound gets none."""
        self.assertIsNone(share_of(configuration(2), 0, 2).limits.connections_per_address)


class CountTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.mount = Path(self.mktemp())
        self.mount.mkdir()
        self.cgroup = self.mount / "cgroup"

    def quota(self, group: str, text: str) -> None:
        folder = self.mount / group
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cpu.max").write_text(text)

    def count(self, affinity: int = 8) -> int:
        return usable_cpus(affinity, self.cgroup, self.mount)

    def test_affinity(self) -> None:
        """Without a quota it is what the scheduler may choose from."""
        self.assertEqual(self.count(3), 3)
        self.assertGreaterEqual(usable_cpus(), 1)

    def test_quota(self) -> None:
        """A quota counts, rounded up, also one of a group further up; `max` is none."""
        self.cgroup.write_text("0::/a/b\n")
        for own, above, expected in (
            ("150000 100000\n", "max 100000\n", 2),
            ("max 100000", "300000 100000", 3),
            ("400000 100000", "100000 100000", 1),
            ("10000 100000", "max 100000", 1),
            ("max 100000", "max 100000", 8),
            ("nonsense", "1 0", 8),
        ):
            self.quota("a/b", own)
            self.quota("a", above)
            self.assertEqual(self.count(), expected, (own, above))

    def test_container(self) -> None:
        """A container sees its own group as the root."""
        self.cgroup.write_text("0::/\n")
        self.quota(".", "200000 100000\n")
        self.assertEqual(self.count(), 2)

    def test_former(self) -> None:
        """So it is with version 1; -1 is no quota."""
        folder = self.mount / "cpu"
        folder.mkdir()
        (folder / "cpu.cfs_period_us").write_text("100000\n")
        for quota, expected in (("250000\n", 3), ("-1\n", 8)):
            (folder / "cpu.cfs_quota_us").write_text(quota)
            self.assertEqual(self.count(), expected)

    def test_strange(self) -> None:
        """What the kernel would not say is not believed."""
        self.cgroup.write_text("0::/../../etc\n1:name=x:/\n\n")
        self.assertEqual(self.count(), 8)

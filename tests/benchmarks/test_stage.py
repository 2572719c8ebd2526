"""What surrounds the peers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.stage import free_port


class PortTests(SynchronousTestCase):
    def test_never_twice(self) -> None:
        """A port is given to one peer only, also while nobody listens there yet."""
        ports = [free_port() for _ in range(3000)]
        self.assertEqual(len(set(ports)), len(ports))

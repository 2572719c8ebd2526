"""That the tests of this package run at all."""

from __future__ import annotations

from twisted.trial.reporter import TestResult
from twisted.trial.unittest import SynchronousTestCase

from tests.coroutines import CoroutineCase


class Coroutines(SynchronousTestCase):
    def test_failure_shows(self):
        """A coroutine that fails is a failed test, whatever the Twisted."""

        class Sample(CoroutineCase):
            async def test_it(self):
                self.fail("on purpose")

        result = TestResult()
        Sample("test_it").run(result)
        self.assertEqual(len(result.failures), 1)

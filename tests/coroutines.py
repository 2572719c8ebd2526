"""Tests that are coroutines, on every Twisted."""

from __future__ import annotations

import functools
import inspect

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.trial.unittest import TestCase


class CoroutineCase(TestCase):
    """A `TestCase` whose `async def test_...` methods really run.

    Older versions of trial call them and take the coroutine for a pass.
    """

    def __init_subclass__(cls, **arguments):
        super().__init_subclass__(**arguments)
        for name in dir(cls):  # those of mixins as well
            if not name.startswith("test"):
                continue
            method = getattr(cls, name)
            if inspect.iscoroutinefunction(method):
                setattr(cls, name, _deferring(method))


def _deferring(method):
    @functools.wraps(method)
    def run(self) -> Deferred:
        return ensureDeferred(method(self))

    return run

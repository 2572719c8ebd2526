"""What an identity may use, told beforehand."""

from __future__ import annotations

import re

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.auth.test_policy import (
    ADMIN,
    CLOSED,
    EVERYBODY,
    EVERYWHERE,
    JOBS,
    LOGS_ONLY,
    NOBODYS,
    OPENED_ADMIN,
    TOKEN,
    TOOL,
    UNSCOPED,
    patterns,
)
from toolforge_gateway.errors import Refusal
from toolforge_gateway.model import ANONYMOUS
from toolforge_gateway.policy import ToolforgeAuthorizer, in_scope
from toolforge_gateway.reach import Extent, reach

CLOSED_ALL = attrs.evolve(CLOSED, anonymous_paths=(), open_paths=())
LIMITED = attrs.evolve(TOOL, paths=patterns("/jobs/v1/tool/a/jobs", "/jobs/openapi.json"))

ROUTES = (
    JOBS,
    CLOSED,
    UNSCOPED,
    CLOSED_ALL,
    attrs.evolve(UNSCOPED, anonymous="refuse"),
    attrs.evolve(JOBS, anonymous_paths=JOBS.open_paths[:1], open_paths=JOBS.open_paths[1:]),
)
PATHS = (
    *NOBODYS,
    "/jobs/v1/tool/a",
    "/jobs/v1/tool/a/jobs",
    "/jobs/v1/tool/another/jobs",
    "/jobs/v1/tool/b/",
    "/jobs/openapi.json",
    "/jobs/v1/healthz",
    "/jobs/v2/metrics",
)


class ReachTests(SynchronousTestCase):
    def test_words(self) -> None:
        """The one word for each kind of caller."""
        authorizer = ToolforgeAuthorizer()
        for identity, route, word in (
            (TOOL, JOBS, "own-tool"),
            (TOOL, CLOSED, "own-tool"),
            (TOOL, UNSCOPED, "all"),
            (attrs.evolve(TOOL, name="another"), JOBS, "own-tool"),
            (LIMITED, JOBS, "patterns"),
            (EVERYWHERE, JOBS, "patterns"),
            (LOGS_ONLY, JOBS, "patterns"),
            (attrs.evolve(EVERYWHERE, paths=None), JOBS, "none"),
            (ADMIN, JOBS, "patterns"),
            (attrs.evolve(ADMIN, paths=None), JOBS, "open-paths"),
            (OPENED_ADMIN, JOBS, "patterns"),
            (TOKEN, CLOSED, "all"),
            (ANONYMOUS, JOBS, "as-nobody"),
            (ANONYMOUS, UNSCOPED, "as-nobody"),
            (ANONYMOUS, CLOSED, "open-paths"),
            (ANONYMOUS, CLOSED_ALL, "none"),
        ):
            with self.subTest(identity=identity, route=route):
                self.assertEqual(reach(authorizer, identity, route).widest, word)

    @given(st.sampled_from([*EVERYBODY, LIMITED]), st.sampled_from(ROUTES), st.sampled_from(PATHS))
    def test_true(self, identity, route, path) -> None:
        """What is told beforehand is what the authorizer says of each path."""
        authorizer = ToolforgeAuthorizer()
        told = reach(authorizer, identity, route)
        try:
            allowed = authorizer.authorize(identity, route, "GET", path) is not None
        except Refusal:
            allowed = False
        tool = route.tool_of(path)
        if route.is_anonymous(path) and identity is ANONYMOUS:
            extent = told.anonymous_paths
        elif tool is not None:
            extent = told.own_tool if tool == identity.name == "a" else told.other_tools
            if identity.kind is not TOOL.kind:
                extent = told.other_tools
        else:
            extent = told.open_paths if route.is_open(path) else told.elsewhere
        expected = {
            Extent.ALL: True,
            Extent.NOBODY: True,
            Extent.NONE: False,
            Extent.IN_SCOPE: in_scope(identity.paths or (), path),
        }
        self.assertEqual(allowed, expected[extent], told)

    def test_no_pattern_is_run(self) -> None:
        """An expression that takes for ever is not tried on anything."""
        slow = attrs.evolve(LOGS_ONLY, paths=(re.compile("(a+)+$"),))
        self.assertEqual(reach(ToolforgeAuthorizer(), slow, JOBS).widest, "patterns")

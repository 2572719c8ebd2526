"""Who may do what."""

from __future__ import annotations

import re

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from toolforge_gateway.errors import Refusal
from toolforge_gateway.interfaces import IAuthorizer
from toolforge_gateway.model import ANONYMOUS, Decision, Identity, Kind
from toolforge_gateway.policy import ToolforgeAuthorizer, in_scope
from toolforge_gateway.routing import PathTemplate, Route

OPEN = tuple(map(PathTemplate, ("/openapi.json", "/v{n}/healthz", "/v{n}/metrics")))
JOBS = Route(
    name="jobs-api",
    prefix="/jobs",
    tool_path=PathTemplate("/v{n}/tool/{tool}"),
    open_paths=OPEN,
    anonymous="forward",
    anonymous_paths=OPEN,
)
CLOSED = attrs.evolve(JOBS, anonymous="refuse")
UNSCOPED = attrs.evolve(JOBS, tool_path=None)

NOBODYS = (
    "/jobs",
    "/jobs/",
    "/jobs/v1",
    "/jobs/v1/tool",
    "/jobs/v1/tool/",
    "/jobs/v1/tools/a/jobs",
    "/jobs/v1/Tool/a/jobs",
    "/jobs/v1/tool/A/jobs",
    "/jobs/v1/tool/.a/jobs",
    "/jobs/v1/%74ool/a/jobs",
    "/jobs/v1/tool/%61/jobs",
    "/jobs/v1/tool/a\n/jobs",
    "/jobs/vx/tool/a/jobs",
    "/jobs/v1/healthz/x",
    "/jobs/openapi.json/",
)


def patterns(*texts: str) -> tuple[re.Pattern[str], ...]:
    """Compiled, as an authenticator hands them out."""
    return tuple(map(re.compile, texts))


TOOL = Identity("a", Kind.TOOL, "kubernetes-certificate")
EVERYWHERE = Identity("service:components-api", Kind.SERVICE, "superuser", patterns("^.*$"))
LOGS_ONLY = Identity(
    "service:jobs-api",
    Kind.SERVICE,
    "superuser",
    patterns("^/logs/v1/tool/[^/]+/source/jobs-api/log$"),
)
ADMIN = Identity("a", Kind.ADMIN, "kubernetes-certificate", ())
OPENED_ADMIN = attrs.evolve(ADMIN, paths=patterns("/jobs/v1/tool/[^/]+/jobs"))
TOKEN = Identity("", Kind.UNVERIFIED_TOKEN, "deploy-token", asserted=False)
EVERYBODY = (TOOL, EVERYWHERE, LOGS_ONLY, ADMIN, OPENED_ADMIN, TOKEN, ANONYMOUS)


class PolicyTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.authorizer = ToolforgeAuthorizer()

    def allowed(
        self,
        identity: Identity,
        path: str,
        reason: str,
        tool: str | None,
        user: str | None,
        route: Route = JOBS,
    ) -> None:
        """The answer is this decision."""
        decision = self.authorizer.authorize(identity, route, "GET", path)
        self.assertEqual(decision, Decision(reason, tool, user))

    def refused(
        self, identity: Identity, path: str, status: int, reason: str, route: Route = JOBS
    ) -> str:
        """The answer is this refusal; returns its sentence."""
        refusal = self.assertRaises(
            Refusal, self.authorizer.authorize, identity, route, "GET", path
        )
        self.assertEqual((refusal.status, refusal.reason, refusal.close), (status, reason, False))
        return refusal.message


class Everybody(PolicyTest):
    def test_interface(self) -> None:
        """The authorizer keeps the shape that others rely on."""
        self.assertTrue(verifyObject(IAuthorizer, self.authorizer))

    def test_not_tool_scoped(self) -> None:
        """A path that names no tool and is not open is refused to every identity."""
        for identity in EVERYBODY:
            for path in NOBODYS:
                for route in (JOBS, CLOSED):
                    message = self.refused(identity, path, 403, "not-tool-scoped", route)
        self.assertIn("/jobs/v{n}/tool/{tool}/...", message)


class Tool(PolicyTest):
    def test_own(self) -> None:
        """A tool uses its own paths and the backend is told so twice."""
        for path in ("/jobs/v1/tool/a", "/jobs/v1/tool/a/", "/jobs/v22/tool/a/jobs/b/c"):
            self.allowed(TOOL, path, "own-tool", "a", "a")

    def test_foreign(self) -> None:
        """A path of another tool, existing or not, is refused in these words."""
        message = self.refused(TOOL, "/jobs/v1/tool/b/jobs", 403, "foreign-tool")
        self.assertEqual(message, "your certificate is for tool a, the path is for tool b")

    def test_nearly_own(self) -> None:
        """A name that begins with, or ends in, the tool's is another tool."""
        for other in ("ab", "a.", "a-", "aa", "ba"):
            self.refused(TOOL, f"/jobs/v1/tool/{other}/jobs", 403, "foreign-tool")

    def test_first_tool_counts(self) -> None:
        """A second tool further down in the path changes nothing."""
        self.refused(TOOL, "/jobs/v1/tool/b/v1/tool/a", 403, "foreign-tool")
        self.allowed(TOOL, "/jobs/v1/tool/a/v1/tool/b", "own-tool", "a", "a")

    def test_open_paths(self) -> None:
        """On an open path the backend is told the tool."""
        for path in ("/jobs/openapi.json", "/jobs/v1/healthz", "/jobs/v2/metrics"):
            self.allowed(TOOL, path, "open-path", "a", "a")

    def test_anonymous_path_is_not_open(self) -> None:
        """A path that is only there for anonymous callers is not opened to a tool."""
        route = attrs.evolve(JOBS, anonymous_paths=(PathTemplate("/welcome"),))
        self.refused(TOOL, "/jobs/welcome", 403, "not-tool-scoped", route)
        self.allowed(ANONYMOUS, "/jobs/welcome", "anonymous", None, None, route)

    def test_narrowed(self) -> None:
        """A scope narrows a tool further; it never opens another tool's path."""
        narrow = attrs.evolve(TOOL, paths=patterns("/jobs/v1/tool/[^/]+/jobs"))
        self.allowed(narrow, "/jobs/v1/tool/a/jobs", "own-tool", "a", "a")
        self.refused(narrow, "/jobs/v1/tool/a/logs", 403, "out-of-scope")
        self.refused(narrow, "/jobs/v1/healthz", 403, "out-of-scope")
        self.refused(narrow, "/jobs/v1/tool/b/jobs", 403, "foreign-tool")

    def test_not_asserted(self) -> None:
        """A tool that is not asserted is checked all the same, and not told."""
        quiet = attrs.evolve(TOOL, asserted=False)
        self.allowed(quiet, "/jobs/v1/tool/a/jobs", "own-tool", None, None)
        self.allowed(quiet, "/jobs/v1/tool/a/jobs", "own-tool", None, None, CLOSED)
        self.refused(quiet, "/jobs/v1/tool/b/jobs", 403, "foreign-tool")

    def test_unscoped_backend(self) -> None:
        """A backend without tool paths is told who calls, on any path."""
        self.allowed(TOOL, "/jobs/v1/tool/b/jobs", "known-caller", "a", "a", UNSCOPED)
        self.allowed(TOOL, "/jobs/openapi.json", "open-path", "a", "a", UNSCOPED)


class Service(PolicyTest):
    def test_in_scope(self) -> None:
        """A superuser acts for the path's tool, under its own name."""
        self.allowed(EVERYWHERE, "/jobs/v1/tool/b/jobs", "superuser", "b", "service:components-api")
        logs = attrs.evolve(JOBS, name="logs-api", prefix="/logs")
        path = "/logs/v1/tool/b/source/jobs-api/log"
        self.allowed(LOGS_ONLY, path, "superuser", "b", "service:jobs-api", logs)

    def test_open_path(self) -> None:
        """Where the path has no tool, none is told."""
        self.allowed(EVERYWHERE, "/jobs/v1/healthz", "superuser", None, "service:components-api")

    def test_out_of_scope(self) -> None:
        """Outside its scope a superuser is refused, on open paths as well."""
        self.refused(LOGS_ONLY, "/jobs/v1/tool/b/jobs", 403, "out-of-scope")
        self.refused(LOGS_ONLY, "/jobs/v1/healthz", 403, "out-of-scope")

    def test_no_scope(self) -> None:
        """A service with no scope at all may do nothing."""
        for paths in (None, ()):
            service = attrs.evolve(LOGS_ONLY, paths=paths)
            self.refused(service, "/jobs/v1/tool/b/jobs", 403, "out-of-scope")


class Admin(PolicyTest):
    def test_opened(self) -> None:
        """On a path that the configuration opens, an admin acts for its tool."""
        self.allowed(OPENED_ADMIN, "/jobs/v1/tool/b/jobs", "admin", "b", "a")

    def test_elsewhere(self) -> None:
        """Elsewhere tool paths are refused and open paths carry no tool."""
        for admin in (ADMIN, OPENED_ADMIN, attrs.evolve(ADMIN, paths=None)):
            self.refused(admin, "/jobs/v1/tool/b/logs", 403, "admin-not-here")
            self.allowed(admin, "/jobs/v1/healthz", "open-path", None, "a")

    def test_called_like_a_tool(self) -> None:
        """An admin whose name is a tool's never becomes that tool."""
        for path in ("/jobs/v1/tool/a", "/jobs/v1/tool/a/jobs"):
            self.refused(ADMIN, path, 403, "admin-not-here")
        self.allowed(ADMIN, "/jobs/x", "known-caller", None, "a", UNSCOPED)


class Nobody(PolicyTest):
    def test_forward(self) -> None:
        """Where the backend decides, an anonymous request goes there unnamed."""
        for path in ("/jobs/v1/tool/b/jobs", "/jobs/v1/healthz"):
            self.allowed(ANONYMOUS, path, "anonymous", None, None)

    def test_refuse(self) -> None:
        """Where it does not, only the anonymous paths are open: 401 elsewhere."""
        self.allowed(ANONYMOUS, "/jobs/v1/healthz", "anonymous", None, None, CLOSED)
        self.refused(ANONYMOUS, "/jobs/v1/tool/b/jobs", 401, "no-evidence", CLOSED)
        route = attrs.evolve(CLOSED, anonymous_paths=())
        self.refused(ANONYMOUS, "/jobs/v1/healthz", 401, "no-evidence", route)
        route = attrs.evolve(CLOSED, tool_path=None)
        self.refused(ANONYMOUS, "/jobs/anything", 401, "no-evidence", route)

    def test_unverified_token(self) -> None:
        """A token that the backend checks passes under both, and names nobody."""
        for route in (JOBS, CLOSED):
            self.allowed(TOKEN, "/jobs/v1/tool/b/jobs", "unverified-token", None, None, route)

    def test_unverified_token_in_scope(self) -> None:
        """A scope of an unverified token holds."""
        token = attrs.evolve(TOKEN, paths=patterns("/jobs/v1/tool/b/jobs"))
        self.allowed(token, "/jobs/v1/tool/b/jobs", "unverified-token", None, None)
        self.refused(token, "/jobs/v1/tool/b/logs", 403, "out-of-scope")


class Scope(SynchronousTestCase):
    def test_whole(self) -> None:
        """A pattern without anchors matches the whole path or nothing."""
        self.assertFalse(in_scope(patterns("/jobs/"), "/envvars/v1/tool/x/jobs/"))
        self.assertFalse(in_scope(patterns("/jobs/.*"), "/x/jobs/v1"))
        self.assertFalse(in_scope(patterns("/a|/ab"), "/abc"))
        self.assertTrue(in_scope(patterns("/a|/ab"), "/ab"))
        self.assertTrue(in_scope(patterns("^/a$"), "/a"))

    def test_line_ends(self) -> None:
        """A path with a line end is in nobody's scope."""
        for text in ("^.*$", "(?s).*", "[^/]+", r"/a\s", "(?m)^/a$"):
            for path in ("/a\n", "/a\r", "/a\nb", "\n/a"):
                self.assertFalse(in_scope(patterns(text), path), (text, path))

    @given(st.text(alphabet="ab/\n", max_size=8))
    def test_never_a_part(self, path: str) -> None:
        """Only the very path is in the scope of a literal pattern."""
        self.assertEqual(in_scope(patterns("/a/b"), path), path == "/a/b")

"""Which external path an operation has."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.openapi.documents import SETTINGS, document, faults, merged, operation
from toolforge_gateway.openapi.merge import merge
from toolforge_gateway.openapi.part import Part

X = {"name": "x", "in": "path", "required": True, "schema": {"type": "string"}}
Y = {**X, "name": "y"}
Q = {"name": "q", "in": "query", "schema": {"type": "integer"}}

# The URL of the first server, the base path of the backend, and where /a is then.
SERVERS: list[tuple[str | None, str, str]] = [
    (None, "", "/jobs/a"),
    ("/", "", "/jobs/a"),
    ("", "", "/jobs/a"),
    ("/v1", "", "/jobs/v1/a"),
    ("/v1/", "", "/jobs/v1/a"),
    ("v1", "", "/jobs/v1/a"),
    ("https://jobs-api.svc:8443", "", "/jobs/a"),
    ("https://jobs-api.svc:8443/api/v1", "", "/jobs/api/v1/a"),
    ("{scheme}://host/{base}", "", "/jobs/b/a"),
    # Our own address, which a framework was told.
    ("/jobs", "", "/jobs/a"),
    ("https://api.example.org/jobs/v1", "", "/jobs/v1/a"),
    ("/jobsuite", "", "/jobs/jobsuite/a"),
    # The gateway puts the base path there itself.
    ("/base", "/base", "/jobs/a"),
    ("/base/v1", "/base", "/jobs/v1/a"),
    ("/basement", "/base", "/jobs/basement/a"),
    (None, "/base", "/jobs/a"),
    ("/v1", "/base", "/jobs/v1/a"),
    (None, "/a", "/jobs/"),
]


def paths_of(paths: dict[str, Any], **more: Any) -> dict[str, list[str]]:
    """The external paths, and what each has; the result is valid."""
    result = merged(document(paths, **more))
    assert faults(result.document) == []
    return {path: list(item) for path, item in result.document["paths"].items()}


class AddressTests(SynchronousTestCase):
    """Prefixes, servers and clashes."""

    def test_servers(self) -> None:
        """The path of a server's URL counts as the backend sees it, or as our clients do."""
        variables = {"scheme": {"default": "https"}, "base": {"default": "b"}}
        for url, base, path in SERVERS:
            more = {} if url is None else {"servers": [{"url": url, "variables": variables}]}
            tree = document({"/a": {"get": operation()}}, **more)
            result = merge([Part("jobs", "/jobs", tree, base)], SETTINGS)
            self.assertEqual((list(result.document["paths"]), result.findings), ([path], ()), url)
            self.assertEqual(
                result.document["servers"],
                [{"url": "https://api.example.org", "description": "here"}],
            )

    def test_servers_inside(self) -> None:
        """Servers of a path item and of an operation count for it alone, and go."""
        found = paths_of(
            {
                "/a": {
                    "servers": [{"url": "/v2"}],
                    "parameters": [Q],
                    "summary": "both",
                    "get": operation(),
                    "put": operation(servers=[{"url": "/v3"}], parameters=[{**Q, "name": "r"}]),
                },
                "/b": {"get": operation()},
            },
            servers=[{"url": "/v1"}],
        )
        self.assertEqual(
            found,
            {
                "/api/v2/a": ["summary", "get"],
                "/api/v3/a": ["summary", "put"],
                "/api/v1/b": ["get"],
            },
        )

    def test_servers_that_say_nothing(self) -> None:
        """A URL that cannot be understood is told, and counts as the root."""
        for servers in ([{"url": "http://["}], [{"url": 5}], [None], [{"url": "/a b"}]):
            result = merged(document({"/a": {"get": operation()}}, servers=servers))
            self.assertEqual(list(result.document["paths"]), ["/api/a"])
            self.assertEqual([f.location for f in result.findings], ["/servers"])

    def test_several_servers(self) -> None:
        """The first one counts; that others are elsewhere is told."""
        for second, findings in (("https://other.example/v1", 0), ("/v2", 1)):
            servers = [{"url": "/v1"}, {"url": second}]
            result = merged(document({"/a": {"get": operation()}}, servers=servers))
            self.assertEqual(list(result.document["paths"]), ["/api/v1/a"])
            self.assertEqual(len(result.findings), findings)

    def test_paths_that_are_none(self) -> None:
        """What is no path keeps the API out."""
        for path in ("a", "/a?b", "/a#b", "/{", "/a}", "/{}", "/{a:[0-9]+}", "/a b", "/{a}/{a}"):
            parameters = [{**X, "name": "a"}] if "{a}" in path else []
            tree = document({path: {"get": operation(parameters=parameters)}})
            result = merged(tree)
            self.assertEqual(result.left_out, {"api"}, path)

    def test_path_parameters(self) -> None:
        """Each template has its parameter, and each parameter its template."""
        for path, item, what in (
            ("/{x}", {"get": operation()}, "no parameter for {x}"),
            ("/a", {"get": operation(parameters=[X])}, "path parameter x that is not"),
            ("/{x}", {"get": operation(parameters=[X, X])}, "second path parameter x"),
            ("/{x}", {"parameters": [X], "get": operation(parameters=[Y])}, "parameter y that"),
        ):
            result = merged(document({path: item}))
            self.assertEqual(result.left_out, {"api"})
            self.assertIn(what, " ".join(finding.what for finding in result.findings))
        both = {"parameters": [X, Q], "get": operation(parameters=[{**Q, "description": "mine"}])}
        self.assertEqual(paths_of({"/{x}": both}), {"/api/{x}": ["parameters", "get"]})

    def test_other_names_for_one_path(self) -> None:
        """/a/{x} and /a/{y} are one path: the second gets the names of the first."""
        ref = {"$ref": "#/components/parameters/y"}
        result = merged(
            document(
                {
                    "/a/{x}": {"parameters": [X], "get": operation()},
                    "/a/{y}": {"parameters": [ref, Q], "put": operation(), "get": operation()},
                },
                components={"parameters": {"y": Y}},
            )
        )
        self.assertEqual(list(result.document["paths"]), ["/api/a/{x}"])
        item = result.document["paths"]["/api/a/{x}"]
        self.assertEqual(list(item), ["get", "put"])
        self.assertEqual([p["name"] for p in item["get"]["parameters"]], ["x"])
        self.assertEqual([p["name"] for p in item["put"]["parameters"]], ["x", "q"])
        self.assertEqual(
            [(f.level, f.location) for f in result.findings],
            [("warning", "/paths/~1a~1{y}/put"), ("warning", "/paths/~1a~1{y}/get")]
            if list(result.findings)[0].location.endswith("put")
            else [("warning", "/paths/~1a~1{y}/get"), ("warning", "/paths/~1a~1{y}/put")],
        )
        self.assertEqual(faults(result.document), [])

    def test_names_that_change_places(self) -> None:
        """Two names that are swapped are swapped at once."""
        result = merged(
            document(
                {
                    "/{x}/{y}": {"get": operation(parameters=[X, Y])},
                    "/{y}/{x}": {"put": operation(parameters=[X, Y])},
                }
            )
        )
        put = result.document["paths"]["/api/{x}/{y}"]["put"]
        self.assertEqual([p["name"] for p in put["parameters"]], ["y", "x"])
        self.assertEqual(faults(result.document), [])

    def test_another_backends_path(self) -> None:
        """What the gateway would send to a backend with a longer prefix is left out."""
        one = document({"/beta/a": {"get": operation()}, "/betamax": {"get": operation()}})
        two = document({"/a": {"get": operation()}})
        result = merge([Part("jobs", "/jobs", one), Part("beta", "/jobs/beta", two)], SETTINGS)
        self.assertEqual(list(result.document["paths"]), ["/jobs/betamax", "/jobs/beta/a"])
        [finding] = result.findings
        self.assertEqual((finding.api, finding.location), ("jobs", "/paths/~1beta~1a/get"))
        self.assertEqual(faults(result.document), [])

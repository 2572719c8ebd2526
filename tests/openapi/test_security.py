"""What a client of the gateway must show."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from tests.openapi.documents import SETTINGS, document, faults, five, merged, operation
from toolforge_gateway.openapi.access import Rule, Rules, TokenRule, begins, covers
from toolforge_gateway.openapi.merge import merge
from toolforge_gateway.openapi.part import Access
from toolforge_gateway.routing import PathTemplate, Route

CERTIFICATE: dict[str, list[str]] = {"clientCertificate": []}
TOKEN: dict[str, list[str]] = {"deployToken": []}
FREE: list[dict[str, list[str]]] = [{}, CERTIFICATE]
SCHEMES = {
    "key": {"type": "apiKey", "in": "header", "name": "X-Toolforge-Tool"},
    "dn": {"type": "apiKey", "in": "header", "name": "ssl-client-subject-dn"},
    "tls": {"type": "mutualTLS"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "session": {"type": "apiKey", "in": "cookie", "name": "session"},
    "own": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    "query": {"type": "apiKey", "in": "query", "name": "api_key"},
    "token": {"type": "apiKey", "in": "query", "name": "token"},
    "oauth": {
        "type": "oauth2",
        "flows": {
            "implicit": {"authorizationUrl": "https://example.org/a", "scopes": {"r": "read"}}
        },
    },
    "clientCertificate": {"type": "mutualTLS"},
}
TOOL = Access(tool=True)
DEPLOY = Access(tool=True, token=True)
OPEN = Access("open")
REFUSED = Access("refused")
SILENT = object()

# What the gateway says of the path, what the document asks for in general and for the operation,
# and what it comes to.
CASES: list[tuple[Access, Any, Any, Any]] = [
    (Access(), SILENT, SILENT, FREE),
    (Access(), [{"key": []}], SILENT, [CERTIFICATE]),
    (Access(), [{"key": []}], [], FREE),
    (Access(), SILENT, [{"key": []}, {}], [CERTIFICATE, {}]),
    (Access(), SILENT, [{"key": [], "dn": []}, {"tls": []}], [CERTIFICATE]),
    (TOOL, SILENT, SILENT, [CERTIFICATE]),
    (TOOL, SILENT, [], FREE),
    (TOOL, SILENT, [{"nowhere": []}], [CERTIFICATE]),
    (TOOL, SILENT, [{"clientCertificate": []}], [CERTIFICATE]),
    (TOOL, SILENT, [{"key": []}, {"token": []}], [CERTIFICATE]),
    (TOOL, SILENT, [{"token": []}], [CERTIFICATE]),
    (DEPLOY, SILENT, SILENT, [CERTIFICATE, TOKEN]),
    (DEPLOY, SILENT, [{"key": []}, {"token": []}], [CERTIFICATE, TOKEN]),
    (DEPLOY, SILENT, [{"token": []}], [TOKEN]),
    (DEPLOY, SILENT, [{"token": []}, {"key": []}], [TOKEN, CERTIFICATE]),
    (OPEN, SILENT, SILENT, FREE),
    (OPEN, [{"key": []}], SILENT, FREE),
    (OPEN, SILENT, [{"key": []}], [CERTIFICATE]),
    (REFUSED, SILENT, SILENT, [CERTIFICATE]),
    (REFUSED, SILENT, [], [CERTIFICATE]),
    (REFUSED, SILENT, [{}, {"key": []}], [CERTIFICATE]),
    # What the gateway does not touch, a client must give as well.
    (Access(), SILENT, [{"own": []}], [{"Apiown": []}]),
    (Access(), SILENT, [{"query": []}], [{"Apiquery": []}]),
    (REFUSED, SILENT, [{"own": []}], [CERTIFICATE | {"Apiown": []}]),
    (TOOL, SILENT, [{"key": [], "own": []}], [CERTIFICATE | {"Apiown": []}]),
    # What it does not forward, a client need not give.
    (TOOL, SILENT, [{"bearer": []}], [CERTIFICATE]),
    (TOOL, SILENT, [{"session": []}], [CERTIFICATE]),
    (TOOL, SILENT, [{"oauth": ["r"]}], [CERTIFICATE]),
    (Access(forward_credentials=True), SILENT, [{"bearer": []}], [{"Apibearer": []}]),
    (Access(forward_credentials=True), SILENT, [{"session": []}], [{"Apisession": []}]),
    (Access(forward_credentials=True), SILENT, [{"oauth": ["r"]}], [{"Apioauth": ["r"]}]),
]


def secured(access: Access, general: Any, own: Any) -> tuple[Any, dict[str, Any]]:
    """The security of an operation, and the security schemes there are."""
    more = {} if general is SILENT else {"security": general}
    get = operation() if own is SILENT else operation(security=own)
    tree = document({"/x": {"get": get}}, components={"securitySchemes": SCHEMES}, **more)
    settings = attrs.evolve(SETTINGS, permit=lambda *_: access)
    result = merged(tree, settings)
    assert faults(result.document) == []
    found = result.document["paths"]["/api/x"]["get"]["security"]
    return found, result.document["components"]["securitySchemes"]


class SecurityTests(SynchronousTestCase):
    """Security of operations."""

    def test_cases(self) -> None:
        """Each case of the table comes to what it says, and asks for schemes that are there."""
        for access, general, own, wanted in CASES:
            found, schemes = secured(access, general, own)
            self.assertEqual(found, wanted, (access, general, own))
            named = {name for each in found for name in each}
            self.assertEqual(named - schemes.keys(), set())
            self.assertEqual(schemes.keys() - named, {"clientCertificate", "deployToken"} - named)

    def test_ours(self) -> None:
        """The gateway's schemes are a certificate, and a token in the query."""
        settings = attrs.evolve(SETTINGS, token_parameter="deploy")
        schemes = merged(document(), settings).document["components"]["securitySchemes"]
        self.assertEqual(schemes["clientCertificate"]["type"], "mutualTLS")
        self.assertEqual(
            [schemes["deployToken"][key] for key in ("type", "in", "name")],
            ["apiKey", "query", "deploy"],
        )

    def test_header_parameters(self) -> None:
        """A header that the gateway writes or drops is no parameter; any other one is."""
        names = ["x-toolforge-tool", "X_Toolforge_User", "X-Trace", "Authorization", "Accept"]
        parameters = [{"name": name, "in": "header", "schema": {}} for name in names]
        parameters.append({"name": "session", "in": "cookie", "schema": {}})
        for forwards, wanted in (
            (False, ["X-Trace", "Accept"]),
            (True, ["X-Trace", "Authorization", "Accept", "session"]),
        ):
            settings = attrs.evolve(
                SETTINGS, permit=lambda *_, f=forwards: Access(forward_credentials=f)
            )
            tree = document({"/x": {"parameters": parameters, "get": operation()}})
            found = merged(tree, settings).document["paths"]["/api/x"]["parameters"]
            self.assertEqual([each["name"] for each in found], wanted)

    def test_schemes_that_are_not_whole(self) -> None:
        """A scheme that lacks what its type needs is none, and is told."""
        for scheme in ({"type": "apiKey", "in": "query"}, {"type": "http"}, {"type": "oauth2"}):
            tree = document(
                {"/x": {"get": operation(security=[{"s": []}])}},
                components={"securitySchemes": {"s": scheme}},
            )
            settings = attrs.evolve(SETTINGS, permit=lambda *_: Access(forward_credentials=True))
            result = merged(tree, settings)
            self.assertEqual(result.document["paths"]["/api/x"]["get"]["security"], [CERTIFICATE])
            [finding] = result.findings
            self.assertEqual(finding.location, "/components/securitySchemes/s")
            self.assertEqual(faults(result.document), [])

    def test_what_a_backend_asks_of_its_callbacks(self) -> None:
        """Security of what the backend calls is its own, and its schemes are kept for that."""
        called = {"{$url}": {"post": operation(security=[{"key": []}, {"nowhere": []}])}}
        tree = document(
            {"/x": {"get": operation(callbacks={"c": called})}},
            components={"securitySchemes": SCHEMES},
        )
        result = merged(tree)
        callback = result.document["paths"]["/api/x"]["get"]["callbacks"]["c"]["{$url}"]["post"]
        self.assertEqual(callback["security"], [{"Apikey": []}, {}])
        self.assertIn("Apikey", result.document["components"]["securitySchemes"])
        self.assertEqual(faults(result.document), [])


def rules(**more: Any) -> Rules:
    """What the sample configuration says of two backends."""
    templates = tuple(map(PathTemplate, ("/openapi.json", "/v{n}/healthz", "/v{n}/metrics")))
    common: dict[str, Any] = {
        "tool_path": PathTemplate("/v{n}/tool/{tool}"),
        "open_paths": templates,
        "anonymous_paths": templates,
        **more,
    }
    return Rules(
        (
            Rule("jobs", Route("jobs-api", "/jobs", **common)),
            Rule("components", Route("components-api", "/components", **common), True),
            Rule("", Route("beta", "/jobs/v1/tool/beta")),
            Rule("free", Route("free", "/free")),
        ),
        (
            TokenRule("POST", PathTemplate("/components/v1/tool/{tool}/deployment")),
            TokenRule("GET", PathTemplate("/components/v1/tool/{tool}/deployment/{id:[0-9]{8}}")),
        ),
    )


class RulesTests(SynchronousTestCase):
    """What the configuration says of a document's paths."""

    def test_paths(self) -> None:
        """Each path of the table is as open as the gateway makes it."""
        deployment = "/components/v1/tool/{toolname}/deployment"
        for api, method, path, wanted in (
            ("jobs", "GET", "/jobs/v1/tool/{toolname}/jobs/", Access(tool=True)),
            ("jobs", "GET", "/jobs/v1/tool/alpha/jobs/", Access(tool=True)),
            ("jobs", "GET", "/jobs/v1/tool/{toolname}", Access(tool=True)),
            ("jobs", "GET", "/jobs/{version}/tool/{toolname}", Access(tool=True)),
            ("jobs", "GET", "/jobs/v1/tool", None),
            ("jobs", "GET", "/jobs/v1/images", None),
            ("jobs", "GET", "/jobs/v1/tools/{toolname}", None),
            ("jobs", "GET", "/jobs/v1/healthz", Access("open")),
            ("jobs", "GET", "/jobs/vx/healthz", None),
            ("jobs", "GET", "/jobs/openapi.json", Access("open")),
            ("jobs", "GET", "/jobs/v1/tool/beta/x", None),
            ("free", "GET", "/free/x", Access()),
            ("unheard-of", "GET", "/x", Access()),
            ("components", "POST", deployment, Access("backend", True, True, True)),
            ("components", "GET", deployment, Access("backend", True, False, True)),
            ("components", "GET", deployment + "/{id}", Access("backend", True, True, True)),
            ("components", "GET", deployment + "/latest", Access("backend", True, False, True)),
            ("components", "GET", deployment + "/20260818", Access("backend", True, True, True)),
        ):
            self.assertEqual(rules()(api, method, path), wanted, (method, path))

    def test_refusing(self) -> None:
        """Where anonymous callers are refused, only their own paths are open."""
        refusing = rules(anonymous="refuse", anonymous_paths=(PathTemplate("/v{n}/healthz"),))
        for path, wanted in (
            ("/jobs/v1/tool/{tool}/jobs", Access("refused", True)),
            ("/jobs/v1/healthz", Access("open")),
            ("/jobs/v1/metrics", Access("refused")),
        ):
            self.assertEqual(refusing("jobs", "GET", path), wanted, path)

    def test_templates(self) -> None:
        """Templates of the configuration against those of documents."""
        for template, path, whole, start in (
            ("/a/{x}", "/a/{y}", True, True),
            ("/a/{x}", "/a/b", True, True),
            ("/a/{x}", "/a/{y}/c", False, True),
            ("/a/b", "/a/{y}", False, False),
            ("/a/{x:[a/b]+}", "/a/b", True, True),
            ("/a/{x:[a/b]+}", "/a/c", False, False),
            ("/a/v{n}", "/a/v{version}", True, True),
            ("/a/v{n}", "/a/w{version}", False, False),
            ("/a/{n}.json", "/a/{name}.yaml", False, False),
            ("/a/{n}.json", "/a/{name}.json", True, True),
        ):
            self.assertEqual(covers(PathTemplate(template), path), whole, (template, path))
            self.assertEqual(begins(PathTemplate(template), path), start, (template, path))

    def test_five(self) -> None:
        """With the rules of the sample configuration the five APIs say who may do what."""
        settings = attrs.evolve(SETTINGS, permit=rules())
        paths = merge(five(), settings).document["paths"]
        deployment = "/components/v1/tool/{toolname}/deployment"
        self.assertEqual(paths[deployment]["post"]["security"], [CERTIFICATE, TOKEN])
        self.assertEqual(paths["/components/v1/healthz"]["get"]["security"], FREE)
        self.assertEqual(paths["/jobs/v1/tool/{toolname}/jobs/"]["get"]["security"], [CERTIFICATE])

    def test_what_nobody_may_use(self) -> None:
        """It is left out and told, unless something else refers to it."""
        settings = attrs.evolve(SETTINGS, permit=lambda api, method, path: None)
        result = merged(document({"/x": {"get": operation()}}), settings)
        self.assertEqual(result.document["paths"], {})
        self.assertEqual([finding.level for finding in result.findings], ["warning"])
        self.assertEqual(result.left_out, frozenset())
        one = operation(responses={"200": {"$ref": "#/paths/~1x/put/responses/200"}})
        settings = attrs.evolve(
            SETTINGS, permit=lambda api, method, path: None if method == "PUT" else Access()
        )
        result = merged(document({"/x": {"get": one, "put": operation()}}), settings)
        self.assertEqual(list(result.document["paths"]["/api/x"]), ["get", "put"])
        self.assertEqual(faults(result.document), [])

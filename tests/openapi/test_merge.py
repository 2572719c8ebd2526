"""Several APIs in one document."""

from __future__ import annotations

import json
from copy import deepcopy
from types import MappingProxyType
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.openapi.documents import SETTINGS, document, faults, five, merged, operation
from toolforge_gateway.openapi.merge import merge
from toolforge_gateway.openapi.names import capitalised
from toolforge_gateway.openapi.part import Part, Settings

BROKEN: list[Any] = [
    {},
    None,
    [],
    "openapi",
    {"swagger": "2.0"},
    document({"/x": {"get": operation(responses={"200": {"$ref": "#/nowhere"}})}}),
    document({"/x": {"get": "a string"}}),
    {"openapi": "3.1.0", "paths": [], "components": 5},
    {"openapi": "3.1.0", "paths": {1: {}}},
    {"openapi": "3.1.0", "paths": {"/x": {"x-a": {1, 2}}}},
    {"openapi": "3.1.0", "paths": {}, "x-a": float("nan")},
    {"openapi": "3.1.0", "paths": {}, "x-a": "\ud800"},
]


OK = {"description": "fine"}


def circle() -> dict[str, Any]:
    """A document that has itself in it."""
    tree = document()
    tree["x-self"] = tree
    return tree


class FiveTests(SynchronousTestCase):
    """Five APIs that collide on purpose."""

    def setUp(self) -> None:
        """Merge them."""
        self.merged = merge(five(), SETTINGS)
        self.document = self.merged.document

    def test_valid(self) -> None:
        """The document is valid, and there is nothing to say about it."""
        self.assertEqual(faults(self.document), [])
        self.assertEqual((self.merged.findings, self.merged.left_out), ((), frozenset()))

    def test_whole(self) -> None:
        """Every operation of every API is there, under its prefix."""
        found = [
            (path.split("/")[1], method)
            for path, item in self.document["paths"].items()
            for method in item
            if method in ("get", "post")
        ]
        wanted = [
            (part.api, method)
            for part in five()
            for item in part.document["paths"].values()
            for method in item
            if method in ("get", "post")
        ]
        self.assertEqual(found, wanted)

    def test_names(self) -> None:
        """Components are called as generated clients know them."""
        components = self.document["components"]
        for section, names in (
            ("schemas", ["BuildsBuild", "JobsDefinedContinuousJob", "LogsHealth", "JobsHealth"]),
            ("responses", ["BuildsNotFound", "EnvvarsNotFound", "ComponentsError"]),
            ("parameters", ["Buildstool", "Componentstool"]),
        ):
            self.assertEqual(set(names) - components[section].keys(), set())
        self.assertEqual(set(components["securitySchemes"]), {"clientCertificate", "deployToken"})

    def test_operation_ids(self) -> None:
        """They are unique, and readable."""
        ids = [
            operation["operationId"]
            for item in self.document["paths"].values()
            for operation in item.values()
            if isinstance(operation, dict)
        ]
        self.assertEqual(len(set(ids)), len(ids))
        for name in (
            "jobs_list_jobs_v1_tool__toolname__jobs__get",
            "logs_list_jobs_v1_tool__toolname__jobs__get",
            "builds_list",
            "envvars_healthz",
            "components_get_v1_tool_tool_config",
        ):
            self.assertIn(name, ids)

    def test_tags(self) -> None:
        """Each API has a tag of its own for what it says of itself, and its other tags."""
        tags = {tag["name"]: tag for tag in self.document["tags"]}
        self.assertEqual(
            list(tags),
            [
                *("jobs", "jobs: jobs", "jobs: healthz", "builds", "builds: builds"),
                *("envvars", "envvars: envvars", "components"),
                *("logs", "logs: jobs", "logs: healthz"),
            ],
        )
        self.assertEqual(tags["jobs: jobs"]["description"], "Things that run")
        self.assertEqual(tags["jobs"]["externalDocs"]["url"], "https://example.org/jobs")
        for words in (
            "**Jobs API**, version 16.1.0",
            "Runs jobs.",
            "Contact: The jobs team <jobs@example.org>",
            "Licence: AGPL-3.0",
            "[Terms of service](https://example.org/terms)",
        ):
            self.assertIn(words, tags["jobs"]["description"])
        groups = {group["name"]: group["tags"] for group in self.document["x-tagGroups"]}
        self.assertEqual(groups["builds"], ["builds", "builds: builds"])
        self.assertEqual(list(groups), ["jobs", "builds", "envvars", "components", "logs"])
        used = {
            tag
            for item in self.document["paths"].values()
            for operation in item.values()
            if isinstance(operation, dict)
            for tag in operation["tags"]
        }
        self.assertEqual(used - tags.keys(), set())

    def test_about(self) -> None:
        """What an API says of itself survives, word for word."""
        about = self.document["x-toolforge-gateway"]
        self.assertEqual(list(about), ["jobs", "builds", "envvars", "components", "logs"])
        for part in five():
            self.assertEqual(about[part.api]["info"], part.document["info"])
            self.assertEqual(about[part.api]["path"], part.prefix)
            self.assertEqual(about[part.api]["openapi"], part.document["openapi"])
        self.assertEqual(about["components"]["x-since"], "2026-08-18")
        self.assertEqual(about["jobs"]["externalDocs"]["description"], "About jobs")

    def test_deprecations(self) -> None:
        """What is deprecated says so, with its dates."""
        get = self.document["paths"]["/jobs/v1/tool/{toolname}/jobs/{job}"]["get"]
        self.assertIs(get["deprecated"], True)
        self.assertEqual(get["x-deprecated-since"], "2026-10-01")
        self.assertEqual(get["x-removed-on"], "2027-04-01")

    def test_ours(self) -> None:
        """Title, version, description and servers are the gateway's."""
        settings = Settings("T", "7", "Words.", (("https://a.example", "A"), ("/", "")))
        tree = merge(five(), settings).document
        self.assertEqual(tree["info"], {"title": "T", "version": "7", "description": "Words."})
        self.assertEqual(
            tree["servers"], [{"url": "https://a.example", "description": "A"}, {"url": "/"}]
        )
        self.assertEqual(merge([], Settings("T", "7")).document["servers"], [{"url": "/"}])

    def test_deterministic(self) -> None:
        """The same parts give the same text, and share nothing with it."""
        again = merge(five(), SETTINGS).document
        self.assertEqual(json.dumps(again), json.dumps(self.document))
        parts = five()
        before = deepcopy(parts)
        tree = merge(parts, SETTINGS).document
        self.assertEqual(parts, before)
        wanted = json.dumps(tree)
        for part in parts:
            _spoil(part.document)
        self.assertEqual(json.dumps(tree), wanted)

    def test_each_alone(self) -> None:
        """What an API is called does not depend on which others are there."""
        whole = self.document
        for part in five():
            alone = merge([part], SETTINGS).document
            for path, item in alone["paths"].items():
                self.assertEqual(whole["paths"][path], item)
            for section, items in alone["components"].items():
                for name, item in items.items():
                    self.assertEqual(whole["components"][section][name], item)


class ApartTests(SynchronousTestCase):
    """One API never harms another."""

    def test_broken_parts(self) -> None:
        """Whatever one backend publishes, the others' are as without it."""
        wanted = merge(five(), SETTINGS).document
        for tree in [*BROKEN, circle()]:
            for position in (0, 2, 5):
                parts = five()
                parts.insert(position, Part("odd", "/odd", tree))
                result = merge(parts, SETTINGS)
                self.assertEqual(result.left_out, {"odd"})
                self.assertEqual(json.dumps(result.document), json.dumps(wanted))
                self.assertEqual({finding.api for finding in result.findings}, {"odd"})

    def test_a_broken_part_takes_no_name(self) -> None:
        """A name that only a part left out would have had is free."""
        bad = document(schemas={"B": {}, "C": {"$ref": "#/nowhere"}})
        good = document(schemas={"AB": {}})
        result = merge([Part("aA", "/a", bad), Part("a", "/b", good)], SETTINGS)
        self.assertEqual(result.left_out, {"aA"})
        self.assertEqual(list(result.document["components"]["schemas"]), ["AAB"])
        self.assertEqual([finding.api for finding in result.findings], ["aA"])

    def test_nothing(self) -> None:
        """No parts are a valid document, and so is an API with nothing in it."""
        self.assertEqual(faults(merge([], SETTINGS).document), [])
        self.assertEqual(faults(merged(document()).document), [])

    def test_other_mappings(self) -> None:
        """A document need not be made of dict."""
        frozen = MappingProxyType({**document(), "info": MappingProxyType({"title": "T"})})
        tree = merged(frozen).document
        self.assertEqual(tree["x-toolforge-gateway"]["api"]["info"], {"title": "T"})
        json.dumps(tree)


class NameTests(SynchronousTestCase):
    """Names that collide after all."""

    def test_capitalised(self) -> None:
        """How an API's name begins those of its components."""
        for api, name in (
            ("builds", "Builds"),
            ("jobs-beta", "JobsBeta"),
            ("k8s_api", "K8sApi"),
            ("Logs", "Logs"),
            ("APIs", "APIs"),
            ("-", "Api"),
        ):
            self.assertEqual(capitalised(api), name)

    def test_equal_after_prefixing(self) -> None:
        """The later one gets a number, and both developers can see why."""
        one = document(
            {"/x": {"get": operation(operationId="b_c")}}, {"BC": {}, "D": {"type": "string"}}
        )
        two = document(
            {"/x": {"get": operation(operationId="c")}},
            {"C": {"type": "string"}, "E": {"$ref": "#/components/schemas/C"}},
        )
        result = merge([Part("a", "/a", one), Part("a-B", "/ab", two)], SETTINGS)
        schemas = result.document["components"]["schemas"]
        self.assertEqual(list(schemas), ["ABC", "AD", "ABC_2", "ABE"])
        self.assertEqual(schemas["ABE"], {"$ref": "#/components/schemas/ABC_2"})
        finding = result.findings[-1]
        self.assertEqual(
            (finding.api, finding.location, finding.level),
            ("a-B", "/components/schemas/C", "warning"),
        )
        result = merge([Part("a", "/a", one), Part("a_b", "/ab", two)], SETTINGS)
        ids = [item["get"]["operationId"] for item in result.document["paths"].values()]
        self.assertEqual(ids, ["a_b_c", "a_b_c_2"])
        self.assertEqual(faults(result.document), [])

    def test_equal_but_for_case(self) -> None:
        """They stay, and are told: generated clients may make one file of both."""
        result = merged(document(schemas={"Job": {}, "job": {}, "JOB": {}}))
        self.assertEqual(
            list(result.document["components"]["schemas"]), ["ApiJob", "Apijob", "ApiJOB"]
        )
        self.assertEqual(
            [(finding.level, finding.location) for finding in result.findings],
            [
                ("warning", "/components/schemas/job"),
                ("warning", "/components/schemas/JOB"),
            ],
        )

    def test_one_name_for_two_operations(self) -> None:
        """The second gets a number, which is told."""
        result = merged(
            document(
                {
                    "/a": {"get": operation(operationId="x"), "put": operation(operationId="x")},
                    "/b": {"get": operation(operationId="x_2")},
                }
            )
        )
        ids = [
            each["operationId"]
            for item in result.document["paths"].values()
            for each in item.values()
        ]
        self.assertEqual(ids, ["api_x", "api_x_2", "api_x_2_2"])
        self.assertEqual(len(result.findings), 2)
        self.assertEqual(faults(result.document), [])


class LeniencyTests(SynchronousTestCase):
    """What is put right, and told."""

    def test_small_mistakes(self) -> None:
        """Each of these costs a warning at its place, and nothing else."""
        text = {"type": "string"}
        query = {"name": "q", "in": "query", "schema": text}
        path = {"name": "p", "in": "path", "schema": text}
        for place, item, more in (
            ("/x/get/surprise", {"get": operation(surprise=1)}, {}),
            ("/x/get/summary", {"get": operation(summary=5)}, {}),
            ("/x/get/deprecated", {"get": operation(deprecated="yes")}, {}),
            ("/x/get/responses", {"get": operation(responses={})}, {}),
            ("/x/get/responses/99", {"get": operation(responses={"99": {}, "default": OK})}, {}),
            ("/x/get/responses/200", {"get": operation(responses={"200": {}})}, {}),
            (
                "/x/get/callbacks/c/x-more",
                {"get": operation(callbacks={"c": {"x-more": 5}})},
                {},
            ),
            (
                "/x/get/responses/x-more",
                {"get": operation(responses={"default": OK, "x-more": {"$ref": "#/nowhere"}})},
                {},
            ),
            ("/x/fetch", {"fetch": operation(), "get": operation()}, {}),
            ("/{p}/get/parameters/0", {"get": operation(parameters=[path])}, {}),
            (
                "/x/get/parameters/0",
                {"get": operation(parameters=[{"name": "q", "in": "query"}])},
                {},
            ),
            (
                "/x/get/parameters/0/style",
                {"get": operation(parameters=[{**query, "style": "simple"}])},
                {},
            ),
            (
                "/x/get/parameters/0/example",
                {"get": operation(parameters=[{**query, "example": 1, "examples": {}}])},
                {},
            ),
            ("surprise", {"get": operation()}, {"surprise": 1}),
            ("tags", {"get": operation()}, {"tags": 5}),
            ("tags/0", {"get": operation()}, {"tags": [{}]}),
            ("tags/1", {"get": operation()}, {"tags": [{"name": "a"}, {"name": "a"}]}),
            ("externalDocs", {"get": operation()}, {"externalDocs": "x"}),
            (
                "components/schemas/S/default",
                {"get": operation()},
                {"schemas": {"S": {"type": "string", "default": 5}}},
            ),
            (
                "components/schemas/S/pattern",
                {"get": operation()},
                {"schemas": {"S": {"pattern": "(?<x>a)"}}},
            ),
            (
                "components/schemas/S/required",
                {"get": operation()},
                {"schemas": {"S": {"required": ["a", "a"]}}},
            ),
            ("components/surprise", {"get": operation()}, {"components": {"surprise": {}}}),
        ):
            start, slash, rest = place[1:].partition("/")
            at = f"/paths/~1{start}{slash}{rest}" if place.startswith("/") else "/" + place
            result = merged(document({f"/{start if slash else 'x'}": item}, **more))
            self.assertEqual(
                [(finding.level, finding.location) for finding in result.findings],
                [("warning", at)],
                place,
            )
            self.assertEqual(faults(result.document), [], place)

    def test_required_by_inheritance(self) -> None:
        """Properties that are asked for and described nowhere are asked for all the same."""
        schemas = {
            "Base": {"properties": {"a": {}}},
            "S": {
                "allOf": [{"$ref": "#/components/schemas/Base"}],
                "properties": {"b": {}},
                "required": ["a", "b", "c"],
            },
        }
        result = merged(document(schemas=schemas))
        found = result.document["components"]["schemas"]["ApiS"]
        self.assertEqual(found["required"], ["a", "b"])
        self.assertEqual(found["allOf"][1:], [{"required": ["c"]}])
        self.assertEqual((result.findings, faults(result.document)), ((), []))

    def test_many_findings(self) -> None:
        """There is an end to them, and an error after it is not lost."""
        tags = [{}] * 5000
        result = merged(document(tags=tags))
        self.assertEqual((len(result.findings), result.left_out), (1000, frozenset()))
        wrong = operation(requestBody={"$ref": "#/nowhere"})
        result = merged(document({f"/{n}": {"get": wrong} for n in range(3000)}, tags=tags))
        self.assertEqual((len(result.findings), result.left_out), (1001, {"api"}))

    def test_findings_read_well(self) -> None:
        """Level, API, place, what and what to do, in a line."""
        result = merged(document({"/x": {"get": operation(surprise=1)}}))
        self.assertEqual(
            [str(finding) for finding in result.findings],
            [
                "warning: api /paths/~1x/get/surprise: is not known in an operation, "
                "and is left out; remove it"
            ],
        )


def _spoil(tree: Any) -> None:
    """Change everything that can be changed."""
    if isinstance(tree, dict):
        for value in tree.values():
            _spoil(value)
        tree.clear()
    elif isinstance(tree, list):
        for value in tree:
            _spoil(value)
        tree.clear()

"""Every reference follows what it refers to, and nothing that only looks like one changes."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.openapi.documents import document, faults, merged, operation
from toolforge_gateway.openapi.pointer import look_up, place_of

A = {"$ref": "#/components/schemas/A"}
API_A = {"$ref": "#/components/schemas/ApiA"}
TEXT = {"type": "string"}
CONTENT = {"a/b": {"schema": TEXT}}
COMPONENTS: dict[str, tuple[Any, Any]] = {
    "responses": ({"description": ""}, lambda ref: operation(responses={"200": ref})),
    "parameters": (
        {"name": "p", "in": "query", "schema": TEXT},
        lambda ref: operation(parameters=[ref]),
    ),
    "examples": (
        {"value": 1},
        lambda ref: operation(requestBody={"content": {"a/b": {"examples": {"e": ref}}}}),
    ),
    "requestBodies": ({"content": CONTENT}, lambda ref: operation(requestBody=ref)),
    "headers": (
        {"schema": TEXT},
        lambda ref: operation(responses={"200": {"description": "", "headers": {"X-A": ref}}}),
    ),
    "links": (
        {"operationId": "x"},
        lambda ref: operation(responses={"200": {"description": "", "links": {"l": ref}}}),
    ),
    "callbacks": (
        {"{$url}": {"post": operation()}},
        lambda ref: operation(callbacks={"c": ref}),
    ),
}
"""A component of each section but schemas, and an operation that refers to it."""


def schema_of(schema: Any, **more: Any) -> Any:
    """What becomes of a schema, as the component S beside A."""
    result = merged(document(schemas={"A": {"type": "object"}, "S": schema}, **more))
    assert not result.findings, result.findings
    assert faults(result.document) == []
    return result.document["components"]["schemas"]["ApiS"]


def references(tree: Any) -> list[str]:
    """All that is called `$ref`, `operationRef`, or stands in a mapping."""
    found = []
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key in ("$ref", "operationRef") and isinstance(value, str):
                found.append(value)
            elif key == "mapping":
                found.extend(value.values())
            found.extend(references(value))
    elif isinstance(tree, list):
        found = [ref for item in tree for ref in references(item)]
    return found


class SchemaReferenceTests(SynchronousTestCase):
    """References between schemas."""

    def test_keywords(self) -> None:
        """A reference is one in every keyword that holds schemas."""
        for key in (
            "additionalProperties",
            "contains",
            "contentSchema",
            "else",
            "if",
            "items",
            "not",
            "propertyNames",
            "then",
            "unevaluatedItems",
            "unevaluatedProperties",
        ):
            self.assertEqual(schema_of({key: A}), {key: API_A})
        for key in ("allOf", "anyOf", "oneOf", "prefixItems"):
            self.assertEqual(schema_of({key: [TEXT, A]}), {key: [TEXT, API_A]})
        for key in ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties"):
            self.assertEqual(schema_of({key: {"a": A}}), {key: {"a": API_A}})

    def test_payloads(self) -> None:
        """What an author writes for an example, a default or an extension stays as it is."""
        for key, value in (
            ("example", A),
            ("examples", [A]),
            ("default", {"a": A}),
            ("enum", [A]),
            ("const", A),
            ("x-more", A),
            ("unheard-of", A),
        ):
            self.assertEqual(schema_of({key: value}), {key: value})
        self.assertEqual(schema_of({"properties": {"$ref": TEXT}}), {"properties": {"$ref": TEXT}})

    def test_a_default_that_is_a_reference(self) -> None:
        """A default that validators would follow is left out, and told."""
        result = merged(document(schemas={"S": {"default": {"$ref": "#/components/schemas/S"}}}))
        self.assertEqual(result.document["components"]["schemas"], {"ApiS": {}})
        [finding] = result.findings
        self.assertEqual(finding.location, "/components/schemas/S/default")

    def test_spellings(self) -> None:
        """Escapes of pointers and of URLs are understood, and written anew where needed."""
        names = {"a/b": 0, "a~b": 1, "a b": 2, "ä": 3, "a%b": 4, "": 5, "~1": 6}
        tree = {
            "type": "object",
            "properties": {name: {"maxLength": n} for name, n in names.items()},
        }
        for spelled, written, number in (
            ("a~1b", "a~1b", 0),
            ("a~0b", "a~0b", 1),
            ("a%20b", "a%20b", 2),
            ("ä", "%C3%A4", 3),
            ("%C3%A4", "%C3%A4", 3),
            ("a%25b", "a%25b", 4),
            ("", "", 5),
            ("~01", "~01", 6),
            ("a%7E1b", "a~1b", 0),
        ):
            result = merged(
                document(
                    schemas={
                        "T": tree,
                        "S": {"$ref": f"#/components/schemas/T/properties/{spelled}"},
                    }
                )
            )
            self.assertEqual(result.findings, (), spelled)
            new = result.document["components"]["schemas"]["ApiS"]["$ref"]
            self.assertEqual(new, f"#/components/schemas/ApiT/properties/{written}")
            self.assertEqual(
                look_up(result.document, place_of(new[1:]) or ()), {"maxLength": number}
            )

    def test_names(self) -> None:
        """A component whose name has odd signs gets another, and references follow."""
        result = merged(
            document(
                schemas={
                    "Page[Item]": {"type": "object"},
                    "S": {"$ref": "#/components/schemas/Page%5BItem%5D"},
                }
            )
        )
        self.assertEqual([finding.level for finding in result.findings], ["warning"])
        self.assertEqual(
            result.document["components"]["schemas"],
            {
                "ApiPage_Item_": {"type": "object"},
                "ApiS": {"$ref": "#/components/schemas/ApiPage_Item_"},
            },
        )

    def test_identity(self) -> None:
        """$id and $anchor go, and what was referred to by them is referred to by pointer."""
        node = {
            "$id": "https://example.org/node",
            "$anchor": "top",
            "$defs": {"leaf": {"$anchor": "leaf", "type": "string"}},
            "properties": {
                "a": {"$ref": "#leaf"},
                "b": {"$ref": "#/$defs/leaf"},
                "c": {"$ref": "#"},
                "d": {"$ref": "node#top"},
                "e": {"$ref": "/node"},
            },
        }
        result = merged(
            document(
                schemas={
                    "Node": node,
                    "S": {"anyOf": [{"$ref": "https://example.org/node#leaf"}, {"$ref": "#here"}]},
                    "T": {"$anchor": "here"},
                }
            )
        )
        self.assertEqual(result.findings, ())
        leaf, top = ("#/components/schemas/ApiNode" + end for end in ("/$defs/leaf", ""))
        self.assertEqual(
            result.document["components"]["schemas"],
            {
                "ApiNode": {
                    "$defs": {"leaf": {"type": "string"}},
                    "properties": {
                        name: {"$ref": ref}
                        for name, ref in zip("abcde", [leaf, leaf, top, top, top], strict=True)
                    },
                },
                "ApiS": {"anyOf": [{"$ref": leaf}, {"$ref": "#/components/schemas/ApiT"}]},
                "ApiT": {},
            },
        )
        self.assertEqual(faults(result.document), [])

    def test_dynamic(self) -> None:
        """$dynamicAnchor and $dynamicRef stay together, apart from those of other APIs."""
        self.assertEqual(
            schema_of({"$dynamicAnchor": "node", "items": {"$dynamicRef": "#node"}}),
            {"$dynamicAnchor": "Apinode", "items": {"$dynamicRef": "#Apinode"}},
        )

    def test_dynamic_twice(self) -> None:
        """Two of one name, which only $id kept apart, are an error."""
        one = {"$id": "https://example.org/a", "$dynamicAnchor": "node"}
        two = {"$id": "https://example.org/b", "$dynamicAnchor": "node"}
        result = merged(document(schemas={"A": one, "B": two}))
        [finding] = result.findings
        self.assertEqual(
            (finding.level, finding.location), ("error", "/components/schemas/B/$dynamicAnchor")
        )

    def test_discriminator_mapping(self) -> None:
        """Both forms of a mapping's values follow, and its keys stay."""
        schema = {
            "oneOf": [A],
            "discriminator": {
                "propertyName": "kind",
                "mapping": {"a": "A", "b": "#/components/schemas/A"},
            },
        }
        self.assertEqual(
            schema_of(schema)["discriminator"],
            {
                "propertyName": "kind",
                "mapping": {"a": API_A["$ref"], "b": API_A["$ref"]},
            },
        )

    def test_discriminator_without_mapping(self) -> None:
        """Names of components that were values by themselves still are, though they change."""
        self.assertEqual(
            schema_of({"oneOf": [A, TEXT], "discriminator": {"propertyName": "kind"}}),
            {
                "oneOf": [API_A, TEXT],
                "discriminator": {"propertyName": "kind", "mapping": {"A": API_A["$ref"]}},
            },
        )

    def test_discriminator_of_a_base(self) -> None:
        """The same where others are the base and something more."""
        base = {"type": "object", "discriminator": {"propertyName": "kind"}}
        of = {"$ref": "#/components/schemas/Base"}
        result = merged(
            document(schemas={"Base": base, "Cat": {"allOf": [of]}, "Dog": {"allOf": [of, TEXT]}})
        )
        self.assertEqual(
            result.document["components"]["schemas"]["ApiBase"]["discriminator"]["mapping"],
            {
                "Cat": "#/components/schemas/ApiCat",
                "Dog": "#/components/schemas/ApiDog",
            },
        )


class ReferenceTests(SynchronousTestCase):
    """References to other components, into paths, and from links."""

    def test_components(self) -> None:
        """A reference to a component of any section follows."""
        for section, (component, using) in COMPONENTS.items():
            ref = {"$ref": f"#/components/{section}/Same"}
            paths = {"/x": {"get": using(ref) | {"operationId": "x"}}}
            more = {"components": {section: {"Same": component, "Other": ref}}}
            result = merged(document(paths, **more))
            self.assertEqual(result.findings, (), section)
            new = f"#/components/{section}/ApiSame"
            self.assertEqual(references(result.document), [new, new])
            self.assertEqual(faults(result.document), [])

    def test_into_paths(self) -> None:
        """Bundlers let references lead to wherever something was first."""
        first = operation(
            parameters=[
                {"name": "x-toolforge-tool", "in": "header", "schema": TEXT},
                {"name": "a", "in": "query", "schema": TEXT},
            ]
        )
        second = operation(
            parameters=[{"$ref": "#/paths/~1v1~1%7Bx%7D/get/parameters/1"}],
            responses={"200": {"$ref": "#/paths/~1v1~1%7Bx%7D/get/responses/200"}},
        )
        at = {"name": "x", "in": "path", "required": True, "schema": TEXT}
        result = merged(
            document({"/v1/{x}": {"parameters": [at], "get": first}, "/v1/y": {"get": second}})
        )
        self.assertEqual(result.findings, ())
        self.assertEqual(
            sorted(references(result.document)),
            [
                "#/paths/~1api~1v1~1%7Bx%7D/get/parameters/0",
                "#/paths/~1api~1v1~1%7Bx%7D/get/responses/200",
            ],
        )
        self.assertEqual(faults(result.document), [])

    def test_into_parameters_that_move(self) -> None:
        """A path item that falls apart takes its parameters along, but those nobody can send."""
        inner = {"name": "x-toolforge-tool", "in": "header", "schema": TEXT}
        query = {"name": "q", "in": "query", "schema": TEXT}
        apart = {
            "parameters": [inner, query],
            "get": operation(),
            "put": operation(servers=[{"url": "/v2"}]),
        }
        using = operation(parameters=[{"$ref": "#/paths/~1x/parameters/1"}])
        result = merged(document({"/x": apart, "/y": {"get": using}}))
        self.assertEqual(result.findings, ())
        self.assertEqual(references(result.document), ["#/paths/~1api~1x/get/parameters/0"])
        self.assertEqual(result.document["paths"]["/api/v2/x"]["put"]["parameters"], [query])
        using = operation(parameters=[{"$ref": "#/paths/~1x/parameters/0"}])
        result = merged(document({"/x": apart, "/y": {"get": using}}))
        self.assertEqual((result.findings, references(result.document)), ((), []))
        kept = {"parameters": {"P": {"$ref": "#/paths/~1x/parameters/0"}}}
        result = merged(document({"/x": apart}, components=kept))
        self.assertEqual(result.left_out, {"api"})
        self.assertEqual(result.findings[0].location, "/components/parameters/P/$ref")

    def test_links(self) -> None:
        """Links find their operation by its new name and at its new place."""
        links = {
            "a": {"operationId": "x", "server": {"url": "https://elsewhere.example"}},
            "b": {"operationRef": "#/paths/~1x/get", "requestBody": {"$ref": "#/x"}},
        }
        result = merged(
            document(
                {
                    "/x": {
                        "get": operation(
                            operationId="x", responses={"200": {"description": "", "links": links}}
                        )
                    }
                }
            )
        )
        get = result.document["paths"]["/api/x"]["get"]
        self.assertEqual(
            get["responses"]["200"]["links"],
            {
                "a": {"operationId": "api_x"},
                "b": {"operationRef": "#/paths/~1api~1x/get", "requestBody": {"$ref": "#/x"}},
            },
        )
        self.assertEqual(get["operationId"], "api_x")

    def test_path_items(self) -> None:
        """A path item that is elsewhere is written where it is used, once for each use."""
        shared = {"get": operation(operationId="shared"), "summary": "S"}
        tree = document(
            {
                "/a": {"$ref": "#/components/pathItems/Shared"},
                "/b": {"$ref": "#/paths/~1a", "description": "D"},
            },
            components={"pathItems": {"Shared": shared}},
            webhooks={"hook": {"$ref": "#/components/pathItems/Shared"}},
        )
        result = merged(tree)
        ids = [item["get"]["operationId"] for item in result.document["paths"].values()]
        self.assertEqual(ids, ["api_shared", "api_shared_2"])
        self.assertEqual(result.document["paths"]["/api/b"]["description"], "D")
        self.assertEqual(
            result.document["webhooks"]["Apihook"]["get"]["operationId"], "api_shared_3"
        )
        self.assertNotIn("pathItems", result.document["components"])
        self.assertEqual(faults(result.document), [])

    def test_callbacks_and_webhooks(self) -> None:
        """They are kept, their expressions untouched, and what is in them follows."""
        item = {
            "post": operation(
                operationId="call", tags=["t"], requestBody={"content": {"a/b": {"schema": A}}}
            )
        }
        result = merged(
            document(
                {
                    "/x": {
                        "get": operation(callbacks={"done": {"{$request.body#/url}?a={b}": item}})
                    }
                },
                {"A": {}},
                webhooks={"done": item},
            )
        )
        callback = result.document["paths"]["/api/x"]["get"]["callbacks"]["done"]
        for called, name in (
            (callback["{$request.body#/url}?a={b}"]["post"], "api_call"),
            (result.document["webhooks"]["Apidone"]["post"], "api_call_2"),
        ):
            self.assertEqual(called["operationId"], name)
            self.assertEqual(called["tags"], ["api: t"])
            self.assertEqual(called["requestBody"]["content"]["a/b"]["schema"], API_A)
            self.assertNotIn("security", called)
        self.assertEqual(faults(result.document), [])

    def test_dangling(self) -> None:
        """A reference that cannot be followed keeps the API out, and says where and why."""
        for schema, where, what in (
            ({"$ref": "#/components/schemas/B"}, "/$ref", "leads to nothing"),
            ({"items": {"$ref": "#/components/schemas/A/items"}}, "/items/$ref", "to nothing"),
            ({"$ref": "other.yaml#/A"}, "/$ref", "out of the document, and nothing is fetched"),
            ({"$ref": "https://example.org/a.json"}, "/$ref", "out of the document"),
            ({"$ref": "http://["}, "/$ref", "out of the document"),
            ({"$ref": "#nowhere"}, "/$ref", "out of the document"),
            ({"$ref": "#/info"}, "/$ref", "what is no schema"),
            ({"$ref": "#/components/responses/R"}, "/$ref", "a response and no schema"),
            ({"$ref": "#/components/schemas/S"}, "/$ref", "in a circle"),
            ({"$ref": 1}, "/$ref", "is no text"),
            (
                {"discriminator": {"propertyName": "a", "mapping": {"b": "B"}}},
                "/discriminator/mapping/b",
                "out of the document",
            ),
        ):
            tree = document(
                schemas={"A": {}, "S": schema},
                components={"responses": {"R": {"description": ""}}},
            )
            result = merged(tree)
            self.assertEqual(result.left_out, {"api"}, schema)
            [finding] = result.findings
            self.assertEqual(finding.location, "/components/schemas/S" + where)
            self.assertIn(what, finding.what)
            self.assertTrue(finding.remedy)

    def test_dangling_links(self) -> None:
        """A link to an operation that is not there does as well; one to elsewhere is kept."""
        for link, level in (
            ({"operationId": "nobody"}, "error"),
            ({"operationRef": "#/paths/~1nowhere/get"}, "error"),
            ({"operationRef": "#/paths/~1x"}, "error"),
            ({}, "error"),
            ({"operationRef": "https://example.org/openapi.json#/paths/~1x/get"}, "warning"),
            ({"operationRef": "#/paths/~1x/get", "operationId": "x"}, "warning"),
        ):
            response = {"description": "", "links": {"l": link}}
            result = merged(document({"/x": {"get": operation(responses={"200": response})}}))
            self.assertEqual([finding.level for finding in result.findings], [level], link)
            self.assertEqual(faults(result.document), [])

"""OpenAPI 3.0 becomes 3.1."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.openapi.documents import document, faults, merged, operation

NULL = {"type": "null"}
A = {"$ref": "#/components/schemas/A"}
API_A = {"$ref": "#/components/schemas/ApiA"}

# What it is, a schema of 3.0, the same in 3.1.
SCHEMAS: list[tuple[str, Any, Any]] = [
    ("nullable", {"type": "string", "nullable": True}, {"type": ["string", "null"]}),
    ("not nullable", {"type": "string", "nullable": False}, {"type": "string"}),
    (
        "nullable with an enum that has no null",
        {"type": "string", "nullable": True, "enum": ["a"]},
        {"type": ["string", "null"], "enum": ["a", None]},
    ),
    (
        "nullable with an enum that has null",
        {"type": "string", "nullable": True, "enum": ["a", None]},
        {"type": ["string", "null"], "enum": ["a", None]},
    ),
    ("nullable enum without a type", {"nullable": True, "enum": [1]}, {"enum": [1, None]}),
    ("nullable without anything", {"nullable": True}, {}),
    (
        "nullable object",
        {"type": "object", "nullable": True, "properties": {"a": A}, "description": "d"},
        {"type": ["object", "null"], "properties": {"a": API_A}, "description": "d"},
    ),
    (
        "nullable with one allOf",
        {"nullable": True, "allOf": [A], "description": "d", "readOnly": True},
        {"description": "d", "readOnly": True, "anyOf": [API_A, NULL]},
    ),
    (
        "nullable with several allOf",
        {"nullable": True, "allOf": [A, {"type": "object"}]},
        {"anyOf": [{"allOf": [API_A, {"type": "object"}]}, NULL]},
    ),
    (
        "nullable with allOf and a type",
        {"type": "object", "nullable": True, "allOf": [A], "title": "t"},
        {"title": "Apit", "anyOf": [{"type": "object", "allOf": [API_A]}, NULL]},
    ),
    (
        "nullable with anyOf",
        {"nullable": True, "anyOf": [A, {"type": "string"}]},
        {"anyOf": [API_A, {"type": "string"}, NULL]},
    ),
    ("nullable with oneOf", {"nullable": True, "oneOf": [A]}, {"oneOf": [API_A, NULL]}),
    (
        "nullable with not",
        {"nullable": True, "not": {"type": "string"}},
        {"anyOf": [{"not": {"type": "string"}}, NULL]},
    ),
    ("nullable beside $ref", {"$ref": A["$ref"], "nullable": True}, {"anyOf": [API_A, NULL]}),
    ("more beside $ref", {"$ref": A["$ref"], "maxLength": 3, "description": "d"},
     {"$ref": API_A["$ref"], "description": "d"}),
    (
        "an exclusive minimum",
        {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
        {"type": "integer", "exclusiveMinimum": 1},
    ),
    (
        "an inclusive minimum",
        {"type": "integer", "minimum": 1, "exclusiveMinimum": False},
        {"type": "integer", "minimum": 1},
    ),
    (
        "exclusive at both ends",
        {"minimum": 0, "maximum": 9.5, "exclusiveMinimum": True, "exclusiveMaximum": True},
        {"exclusiveMinimum": 0, "exclusiveMaximum": 9.5},
    ),
    ("exclusive of nothing", {"type": "integer", "exclusiveMaximum": True}, {"type": "integer"}),
    ("exclusive as in 3.1 already", {"exclusiveMinimum": 3}, {"exclusiveMinimum": 3}),
    ("an example", {"type": "string", "example": "x"}, {"type": "string", "examples": ["x"]}),
    ("null for an example", {"example": None}, {"examples": [None]}),
    (
        "an example that looks like a reference",
        {"type": "object", "example": {"$ref": "#/nowhere", "nullable": True}},
        {"type": "object", "examples": [{"$ref": "#/nowhere", "nullable": True}]},
    ),
    (
        "a default, an enum and an extension that look like schemas",
        {"enum": [{"nullable": True}], "x-a": {"$ref": "x"}, "default": {"nullable": True}},
        {"enum": [{"nullable": True}], "x-a": {"$ref": "x"}, "default": {"nullable": True}},
    ),
    (
        "base64",
        {"type": "string", "format": "byte"},
        {"type": "string", "contentEncoding": "base64"},
    ),
    (
        "base64 by its other name",
        {"type": "string", "format": "base64"},
        {"type": "string", "contentEncoding": "base64"},
    ),
    (
        "a file",
        {"type": "string", "format": "binary"},
        {
            "type": "string",
            "format": "binary",
            "contentMediaType": "application/octet-stream",
        },
    ),
    (
        "a format of something else",
        {"type": "number", "format": "byte"},
        {"type": "number", "format": "byte"},
    ),
    ("another format", {"type": "string", "format": "uuid"}, {"type": "string", "format": "uuid"}),
    (
        "nested",
        {"type": "array", "items": {"type": "object", "additionalProperties": {
            "type": "string", "nullable": True}}},
        {"type": "array", "items": {"type": "object", "additionalProperties": {
            "type": ["string", "null"]}}},
    ),
    ("a property called nullable", {"properties": {"nullable": {"type": "boolean"}}},
     {"properties": {"nullable": {"type": "boolean"}}}),
    ("a property called $ref", {"properties": {"$ref": {"type": "string", "nullable": True}}},
     {"properties": {"$ref": {"type": ["string", "null"]}}}),
    ("x-nullable is nobody's business", {"type": "string", "x-nullable": True},
     {"type": "string", "x-nullable": True}),
    ("what 3.0 does not know", {"type": "object", "$id": "a", "$anchor": "b"}, {"type": "object"}),
]  # fmt: skip

REMARKED = {
    "nullable beside $ref",
    "more beside $ref",
    "exclusive of nothing",
    "what 3.0 does not know",
}
"""What a warning tells of."""


def converted(schema: Any, version: str = "3.0.3") -> tuple[Any, list[str]]:
    """A component schema in the merged document, and what was found."""
    result = merged(document(schemas={"A": {"type": "object"}, "S": schema}, version=version))
    assert not result.left_out, result.findings
    assert faults(result.document) == []
    return result.document["components"]["schemas"]["ApiS"], [str(f) for f in result.findings]


class ConversionTests(SynchronousTestCase):
    """Schemas, and where they are."""

    def test_schemas(self) -> None:
        """Each schema of the table becomes what is beside it."""
        for name, old, new in SCHEMAS:
            schema, findings = converted(old)
            self.assertEqual(schema, new, name)
            self.assertEqual(bool(findings), name in REMARKED, (name, findings))

    def test_newer_ones_stay(self) -> None:
        """A schema of 3.1 is what it was, whatever it would have meant in 3.0."""
        for schema in (
            {"type": ["string", "null"], "examples": ["a"], "example": "b"},
            {"$ref": "#/components/schemas/ApiA", "maxProperties": 3},
            {"type": "string", "format": "byte"},
            {"type": "string", "contentEncoding": "base64"},
            {"exclusiveMinimum": 1, "minimum": 0},
            True,
            {"if": {"type": "string"}, "then": False, "const": {"$ref": "#/x"}},
        ):
            given = {**schema, "$ref": "#/components/schemas/A"} if _is_ref(schema) else schema
            self.assertEqual(converted(given, "3.1.0"), (schema, []))

    def test_references_into_what_moved(self) -> None:
        """A reference into a schema that was wrapped leads to the same schema as before."""
        wrapped = {
            "nullable": True,
            "allOf": [{"type": "object", "properties": {"in": {"type": "integer"}}}],
        }
        several = {"type": "object", "nullable": True, "not": {"type": "string"},
                   "properties": {"in": {"type": "number"}}}  # fmt: skip
        tree = document(
            schemas={
                "One": wrapped,
                "Two": several,
                "R1": {"$ref": "#/components/schemas/One/allOf/0/properties/in"},
                "R2": {"$ref": "#/components/schemas/Two/properties/in"},
            },
            version="3.0.0",
        )
        schemas = merged(tree).document["components"]["schemas"]
        self.assertEqual(
            (schemas["ApiR1"]["$ref"], schemas["ApiR2"]["$ref"]),
            (
                "#/components/schemas/ApiOne/anyOf/0/properties/in",
                "#/components/schemas/ApiTwo/anyOf/0/properties/in",
            ),
        )

    def test_everywhere(self) -> None:
        """Schemas are converted wherever they are, and examples beside them are not."""
        schema = {"type": "string", "nullable": True, "example": "a"}
        media = {"schema": schema, "example": {"nullable": True}}
        tree = document(
            {
                "/x": {
                    "parameters": [{"name": "p", "in": "query", "schema": schema, "example": None}],
                    "post": {
                        "requestBody": {
                            "content": {
                                "multipart/form-data": {
                                    "schema": {"type": "object", "properties": {"f": schema}},
                                    "encoding": {"f": {"headers": {"X-A": {"schema": schema}}}},
                                }
                            }
                        },
                        "responses": {
                            "200": {
                                "description": "",
                                "content": {"a/b": media},
                                "headers": {"X-B": {"schema": schema}},
                            }
                        },
                    },
                }
            },
            version="3.0.3",
        )
        result = merged(tree)
        self.assertEqual(result.findings, ())
        text = repr(result.document["paths"])
        self.assertEqual(text.count("['string', 'null']"), 5)
        self.assertEqual(text.count("'examples': ['a']"), 5)
        self.assertEqual(text.count("'example': {'nullable': True}"), 1)
        self.assertEqual(faults(result.document), [])

    def test_versions(self) -> None:
        """What is neither 3.0 nor 3.1 is told by its name, and left out."""
        for tree, where, what in (
            ({"swagger": "2.0", "paths": {}}, "/swagger", "Swagger 2.0"),
            (document(version="3.2.0"), "/openapi", "OpenAPI 3.2.0"),
            (document(version="4.0.0"), "/openapi", "OpenAPI 4.0.0"),
            (document(version=""), "/openapi", "OpenAPI "),
            ({"openapi": 3.1, "paths": {}}, "", "does not say its version"),
            ({"info": {}}, "", "does not say its version"),
            ({"openapi": "3.0.3"}, "", "has no paths"),
            ({"openapi": "3.1.0"}, "", "has no paths, components or webhooks"),
            (document(jsonSchemaDialect="https://x.example"), "/jsonSchemaDialect", "dialect"),
        ):
            result = merged(tree)
            self.assertEqual(result.left_out, {"api"}, tree)
            [finding] = result.findings
            self.assertEqual((finding.level, finding.location), ("error", where))
            self.assertIn(what, finding.what)
        for version in ("3.0.0", "3.0.4", "3.1.0", "3.1.1", "3.1.0-rc1", "3.1"):
            self.assertEqual(merged(document(version=version)).left_out, frozenset())

    def test_an_operation_without_responses(self) -> None:
        """3.1 does not want any, 3.0 does; either is taken."""
        for version in ("3.0.0", "3.1.0"):
            result = merged(document({"/x": {"get": {}}}, version=version))
            self.assertEqual(result.findings, ())
            self.assertEqual(faults(result.document), [])

    def test_null_among_operations(self) -> None:
        """A path without operations is none that a client can use."""
        result = merged(document({"/x": {}, "/y": {"get": operation()}}))
        self.assertEqual(list(result.document["paths"]), ["/api/y"])


def _is_ref(schema: Any) -> bool:
    return isinstance(schema, dict) and "$ref" in schema

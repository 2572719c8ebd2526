"""Documents as frameworks write them, made to collide.

Five APIs: all have `Error`, `Health` and `key`, four have an operation `healthz`, and each has a
path like another's.  Nothing here is a copy of a real API's document.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

JSON = dict[str, Any]


def content(schema: JSON, **more: Any) -> JSON:
    """A body or an answer in JSON."""
    return {"content": {"application/json": {"schema": schema, **more}}}


def ref(name: str, section: str = "schemas") -> JSON:
    """A reference to a component."""
    return {"$ref": f"#/components/{section}/{name}"}


def fastapi_jobs() -> JSON:
    """As FastAPI with pydantic 2 writes it: 3.1, `anyOf` with null, its own errors."""
    tool = {
        "name": "toolname",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": "^[a-z0-9.-]+$", "title": "Toolname"},
    }
    header = {
        "name": "x-toolforge-tool",
        "in": "header",
        "required": False,
        "schema": {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "X-Toolforge-Tool"},
    }
    invalid = {"description": "Validation Error", **content(ref("HTTPValidationError"))}

    def answers(name: str, status: str = "200") -> JSON:
        return {
            status: {"description": "Successful Response", **content(ref(name))},
            "404": {"description": "Not Found", **content(ref("Error"))},
            "422": invalid,
        }

    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Jobs API",
            "description": "Runs jobs.",
            "version": "16.1.0",
            "license": {"name": "AGPL-3.0", "identifier": "AGPL-3.0-or-later"},
            "contact": {"name": "The jobs team", "email": "jobs@example.org"},
            "termsOfService": "https://example.org/terms",
        },
        "externalDocs": {"url": "https://example.org/jobs", "description": "About jobs"},
        "tags": [{"name": "jobs", "description": "Things that run"}, {"name": "healthz"}],
        "paths": {
            "/v1/tool/{toolname}/jobs/": {
                "get": {
                    "tags": ["jobs"],
                    "summary": "List Jobs",
                    "operationId": "list_jobs_v1_tool__toolname__jobs__get",
                    "parameters": [
                        header,
                        tool,
                        {
                            "name": "include_unset",
                            "in": "query",
                            "required": False,
                            "schema": {"type": "boolean", "default": True, "title": "Unset"},
                        },
                    ],
                    "responses": answers("JobListResponse"),
                },
                "post": {
                    "tags": ["jobs"],
                    "summary": "Create Job",
                    "operationId": "create_job_v1_tool__toolname__jobs__post",
                    "parameters": [tool],
                    "requestBody": {
                        "required": True,
                        **content(
                            {
                                "oneOf": [ref("NewOneOffJob"), ref("NewContinuousJob")],
                                "discriminator": {
                                    "propertyName": "job_type",
                                    "mapping": {
                                        "one-off": "#/components/schemas/NewOneOffJob",
                                        "continuous": "NewContinuousJob",
                                    },
                                },
                                "title": "New Job",
                            }
                        ),
                    },
                    "responses": answers("JobResponse", "201"),
                },
            },
            "/v1/tool/{toolname}/jobs/{job}": {
                "get": {
                    "tags": ["jobs"],
                    "operationId": "get_job_v1_tool__toolname__jobs__job__get",
                    "parameters": [tool, {**deepcopy(tool), "name": "job"}],
                    "responses": answers("JobResponse"),
                    "deprecated": True,
                    "x-deprecated-since": "2026-10-01",
                    "x-removed-on": "2027-04-01",
                }
            },
            "/v1/healthz": {
                "get": {
                    "tags": ["healthz"],
                    "operationId": "healthz",
                    "responses": {"200": {"description": "OK", **content(ref("Health"))}},
                }
            },
        },
        "components": {
            "schemas": {
                "Error": {
                    "type": "object",
                    "properties": {"error": {"type": "array", "items": {"type": "string"}}},
                    "title": "Error",
                },
                "Health": {"type": "object", "properties": {"status": {"const": "OK"}}},
                "NewOneOffJob": _job("one-off"),
                "NewContinuousJob": _job("continuous"),
                "DefinedContinuousJob": {
                    "allOf": [ref("NewContinuousJob")],
                    "properties": {
                        "status": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                        "next": {"anyOf": [ref("DefinedContinuousJob"), {"type": "null"}]},
                    },
                    "required": ["name", "status"],
                },
                "JobListResponse": {
                    "properties": {
                        "jobs": {"items": ref("DefinedContinuousJob"), "type": "array"},
                        "messages": {"type": "object", "additionalProperties": True},
                    },
                    "type": "object",
                    "required": ["jobs"],
                },
                "JobResponse": {
                    "properties": {"job": ref("DefinedContinuousJob")},
                    "type": "object",
                    "required": ["job"],
                },
                "HTTPValidationError": {
                    "properties": {
                        "detail": {
                            "items": ref("ValidationError"),
                            "type": "array",
                            "title": "Detail",
                        }
                    },
                    "type": "object",
                    "title": "HTTPValidationError",
                },
                "ValidationError": {
                    "properties": {
                        "loc": {
                            "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                            "type": "array",
                        },
                        "msg": {"type": "string"},
                        "type": {"type": "string"},
                    },
                    "type": "object",
                    "required": ["loc", "msg", "type"],
                },
            }
        },
    }


def _job(kind: str) -> JSON:
    return {
        "type": "object",
        "properties": {
            "job_type": {"type": "string", "const": kind, "default": kind},
            "name": {"type": "string", "examples": ["migrate"]},
            "cmd": {"type": "string", "example": {"$ref": "#/not/a/reference"}},
            "memory": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
            "cpu": {"type": "number", "exclusiveMinimum": 0, "default": 0.5},
        },
        "required": ["name", "cmd"],
    }


def go_builds() -> JSON:
    """As Go programs that are generated from a document write it: 3.0, `key`, shared answers."""
    tool = {"$ref": "#/components/parameters/tool"}
    answers = {
        "401": ref("Unauthorized", "responses"),
        "404": ref("NotFound", "responses"),
        "default": ref("InternalError", "responses"),
    }
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Builds API",
            "version": "0.0.1",
            "license": {"name": "AGPL-3.0", "url": "https://example.org/agpl"},
        },
        "servers": [{"url": "/", "description": "here"}],
        "security": [{"key": []}],
        "tags": [{"name": "builds"}],
        "paths": {
            "/v1/tool/{toolname}/builds": {
                "parameters": [tool],
                "get": {
                    "operationId": "list",
                    "tags": ["builds"],
                    "responses": {
                        "200": {
                            "description": "All builds",
                            **content({"type": "array", "items": ref("Build")}),
                        },
                        **answers,
                    },
                },
                "post": {
                    "operationId": "start",
                    "requestBody": ref("NewBuild", "requestBodies"),
                    "responses": {
                        "200": {
                            "description": "Started",
                            "headers": {"X-Build": ref("BuildId", "headers")},
                            **content(ref("Build")),
                            "links": {
                                "build": {
                                    "operationId": "get",
                                    "parameters": {"build_id": "$response.body#/build_id"},
                                },
                                "logs": {
                                    "operationRef": "#/paths/~1v1~1tool~1%7Btoolname%7D~1"
                                    "builds~1%7Bbuild_id%7D/get"
                                },
                            },
                        },
                        **answers,
                    },
                    "callbacks": {
                        "done": {
                            "{$request.body#/callback_url}": {
                                "post": {
                                    "requestBody": content(ref("Build")),
                                    "responses": {"204": {"description": "Thanks"}},
                                }
                            }
                        }
                    },
                },
            },
            "/v1/tool/{toolname}/builds/{build_id}": {
                "parameters": [tool, ref("build_id", "parameters")],
                "get": {
                    "operationId": "get",
                    "responses": {
                        "200": {
                            "description": "One",
                            **content(
                                ref("Build"),
                                examples={"one": ref("one", "examples")},
                            ),
                        },
                        **answers,
                    },
                },
            },
            "/v1/healthz": {
                "get": {
                    "operationId": "healthz",
                    "security": [],
                    "responses": {"200": ref("Health", "responses")},
                }
            },
        },
        "components": {
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "ssl-client-subject-dn"}
            },
            "parameters": {
                "tool": {
                    "name": "toolname",
                    "in": "path",
                    "required": True,
                    "schema": {"type": "string"},
                },
                "build_id": {
                    "name": "build_id",
                    "in": "path",
                    "required": True,
                    "schema": {"type": "string"},
                },
            },
            "headers": {"BuildId": {"schema": {"type": "string"}}},
            "examples": {"one": {"value": {"build_id": "x", "$ref": "#/components/schemas/Build"}}},
            "requestBodies": {"NewBuild": content(ref("BuildParameters"))},
            "responses": {
                name: {"description": name, **content(ref("Error"))}
                for name in ("Unauthorized", "NotFound", "InternalError")
            }
            | {"Health": {"description": "OK", **content(ref("Health"))}},
            "schemas": {
                "Error": {"type": "object", "properties": {"error": {"type": "string"}}},
                "Health": {"type": "object", "properties": {"status": {"type": "string"}}},
                "Build": {
                    "type": "object",
                    "properties": {
                        "build_id": {"type": "string", "example": "tool-1"},
                        "end_time": {"type": "string", "format": "date-time", "nullable": True},
                        "parameters": {"allOf": [ref("BuildParameters")], "nullable": True},
                        "attempts": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
                        "log": {"type": "string", "format": "byte"},
                    },
                },
                "BuildParameters": {
                    "type": "object",
                    "required": ["source_url"],
                    "properties": {
                        "source_url": {"type": "string"},
                        "ref": {"type": "string", "nullable": True, "default": None},
                        "callback_url": {"type": "string"},
                        "kind": {"type": "string", "enum": ["git", "local"], "nullable": True},
                    },
                },
            },
        },
    }


def go_envvars() -> JSON:
    """The same family, with a base path in `servers` and equal names."""
    document = go_builds()
    text = _replaced(document, {"builds": "envvars", "Build": "Envvar", "build_id": "name"})
    text["servers"] = [{"url": "/v1"}]
    text["paths"] = {path.removeprefix("/v1"): item for path, item in text["paths"].items()}
    links = text["paths"]["/tool/{toolname}/envvars"]["post"]["responses"]["200"]["links"]
    links["logs"]["operationRef"] = "#/paths/~1tool~1{toolname}~1envvars~1{name}/get"
    text["info"] = {"title": "Envvars API", "version": "2"}
    return text


def _replaced(tree: Any, words: dict[str, str]) -> Any:
    if isinstance(tree, dict):
        return {_replaced(key, words): _replaced(value, words) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_replaced(item, words) for item in tree]
    if isinstance(tree, str):
        for old, new in words.items():
            tree = tree.replace(old, new)
    return tree


def fastapi_logs() -> JSON:
    """FastAPI that was told of its prefix: `servers` has our own address."""
    document = fastapi_jobs()
    document["info"] = {"title": "Logs API", "version": "0.1.0"}
    document["servers"] = [{"url": "/logs"}]
    document["tags"] = []
    return document


COMPONENTS = """\
openapi: 3.0.1
info: {title: Components API, version: "1.0"}
x-since: 2026-08-18
paths:
  /v1/tool/{toolname}/deployment:
    post:
      operationId: deploy
      security: [{key: []}, {token: []}]
      parameters: [{$ref: "#/components/parameters/tool"}]
      responses:
        200: {$ref: "#/components/responses/Deployment"}
        default: {$ref: "#/components/responses/Error"}
  /v1/tool/{toolname}/deployment/{deploy_id}:
    get:
      operationId: deployment
      security: [{key: []}, {token: []}]
      parameters:
        - {$ref: "#/components/parameters/tool"}
        - {name: deploy_id, in: path, required: true, schema: {type: string}}
      responses:
        200: {$ref: "#/components/responses/Deployment"}
  /v1/tool/{tool}/config:
    get:
      parameters: [{name: tool, in: path, required: true, schema: {type: string}}]
      security: [{key: []}]
      responses: {"200": {description: yes, content: {application/yaml: {schema: {}}}}}
  /v1/healthz:
    get:
      operationId: healthz
      responses: {"200": {description: "OK", content: {application/json: {
        schema: {$ref: "#/components/schemas/Health"}}}}}
components:
  securitySchemes:
    key: {type: apiKey, in: header, name: x-toolforge-tool}
    token: {type: apiKey, in: query, name: token}
  parameters:
    tool: {name: toolname, in: path, required: true, schema: {type: string}}
  responses:
    Deployment:
      description: A deployment
      content: {application/json: {schema: {$ref: "#/components/schemas/Deployment"}}}
    Error:
      description: Sorry
      content: {application/json: {schema: {$ref: "#/components/schemas/Error"}}}
  schemas:
    Health: {type: object, properties: {status: {type: string}}}
    Error: {type: object, properties: {messages: {$ref: "#/components/schemas/Messages"}}}
    Messages: {type: object, additionalProperties: {type: array, items: {type: string}}}
    Deployment:
      type: object
      properties:
        deploy_id: {type: string, example: 20260818-140643-0a1b2c3d4e}
        status: {type: string, enum: [on, off, null], nullable: true}
"""
"""Written by hand, in YAML that 1.1 would read otherwise."""

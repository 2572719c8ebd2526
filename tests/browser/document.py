"""A document of the shape that the gateway publishes, with all that a page must cope with.

Its operations are some of the sample backends', so that lines made from it can be run.
"""

from __future__ import annotations

import copy
from typing import Any

JSON = dict[str, Any]

TOOL: JSON = {"name": "toolname", "in": "path", "required": True, "schema": {"type": "string"}}


def named(name: str, **more: Any) -> JSON:
    """A parameter in the path."""
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, **more}


def answer(schema: JSON, kind: str = "application/json") -> JSON:
    """Responses: one good, one bad."""
    return {
        "200": {"description": "Done.", "content": {kind: {"schema": schema}}},
        "404": {"description": "There is *no* such thing.", "content": {"application/json": {}}},
    }


def ref(name: str) -> JSON:
    """A reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def body(schema: JSON, **more: Any) -> JSON:
    """A JSON body."""
    return {"required": True, "content": {"application/json": {"schema": schema, **more}}}


_DOCUMENT: JSON = {
    "openapi": "3.1.1",
    "info": {"title": "Toolforge API", "version": "1"},
    "security": [{"certificate": []}],
    "tags": [{"name": "jobs", "description": "Programs that run in the cluster."}],
    "x-toolforge-gateway": {
        "builds": {
            "fetched_at": "2026-11-20T10:00:00Z",
            "stale": True,
            "error": "no answer within 10 seconds",
        },
        "envvars": {"fetched_at": "2026-11-22T01:00:00Z", "stale": False, "error": None},
        "jobs": {
            "path": "/jobs",
            "info": {"title": "Jobs API", "version": "2.3.0", "description": "Run *programs*."},
            "fetched_at": "2026-11-22T01:00:00Z",
            "stale": False,
            "error": None,
        },
        "logs": {"fetched_at": "2026-11-22T01:00:00Z", "stale": False, "error": None},
        "ghosts": {"fetched_at": None, "stale": True, "error": "connection refused"},
    },
    "paths": {
        "/jobs/v1/tool/{toolname}/jobs/": {
            "parameters": [TOOL],
            "get": {
                "operationId": "listJobs",
                "tags": ["jobs"],
                "summary": "List jobs",
                "description": "All jobs of a tool.\n\n* one-off\n* **scheduled**\n\n<b>HTML</b>",
                "parameters": [
                    {
                        "name": "include_unset",
                        "in": "query",
                        "schema": {"type": "boolean", "default": False},
                        "description": "Also what has its *default* value.",
                    }
                ],
                "responses": answer(ref("JobsList")),
            },
            "post": {
                "operationId": "createJob",
                "tags": ["jobs"],
                "summary": "Start a job",
                "requestBody": body(
                    ref("JobsJob"),
                    example={"name": "hello", "cmd": "./hello.sh", "imagename": "bookworm"},
                ),
                "responses": answer(ref("JobsJob")),
            },
        },
        "/jobs/v1/tool/{toolname}/jobs/{job}": {
            "parameters": [TOOL, named("job", description="Its name.")],
            "get": {
                "operationId": "showJob",
                "tags": ["jobs"],
                "summary": "Show a job",
                "responses": answer(ref("JobsJob")),
            },
            "delete": {
                "operationId": "deleteJob",
                "tags": ["jobs"],
                "summary": "Delete a job",
                "responses": answer({}),
            },
        },
        "/builds/v1/tool/{toolname}/builds": {
            "get": {
                "operationId": "listBuilds",
                "tags": ["builds"],
                "summary": "List builds",
                "parameters": [TOOL],
                "responses": answer({"type": "object"}),
            },
            "post": {
                "operationId": "startBuild",
                "tags": ["builds"],
                "summary": "Start a build",
                "parameters": [TOOL],
                "requestBody": body(
                    {
                        "type": "object",
                        "required": ["source_url"],
                        "properties": {
                            "source_url": {"type": "string", "format": "uri"},
                            "ref": {"type": ["string", "null"], "maxLength": 200},
                        },
                    }
                ),
                "responses": answer({"type": "object"}),
            },
        },
        "/builds/v1/tool/{toolname}/build/{id}": {
            "get": {
                "operationId": "oldBuild",
                "tags": ["builds"],
                "summary": "Show a build, by its old path",
                "deprecated": True,
                "x-deprecated-since": "2026-03-01",
                "x-sunset": "2027-01-31",
                "parameters": [TOOL, named("id")],
                "responses": answer({"type": "object"}),
            }
        },
        "/envvars/v1/tool/{toolname}/envvars": {
            "get": {
                "operationId": "listEnvvars",
                "tags": ["envvars"],
                "summary": "List variables",
                "parameters": [TOOL],
                "responses": answer({"type": "object"}),
            },
            "post": {
                "operationId": "createEnvvar",
                "tags": ["envvars"],
                "summary": "Set a variable",
                "parameters": [TOOL],
                "requestBody": body(ref("EnvvarsEnvvar")),
                "responses": answer({"type": "object"}),
            },
        },
        "/envvars/v1/tool/{toolname}/envvars/{name}": {
            "get": {
                "operationId": "showEnvvar",
                "tags": ["envvars"],
                "summary": "Show a variable",
                "parameters": [TOOL, named("name")],
                "responses": answer({"type": "object"}),
            },
            "delete": {
                "operationId": "deleteEnvvar",
                "tags": ["envvars"],
                "summary": "Delete a variable",
                "parameters": [TOOL, named("name")],
                "responses": answer({"type": "object"}),
            },
        },
        "/envvars/v1/healthz": {
            "get": {
                "operationId": "envvarsHealth",
                "tags": ["envvars"],
                "summary": "Is it well?",
                "security": [{}],
                "responses": answer({"type": "object"}),
            }
        },
        "/components/v1/tool/{toolname}/deployment": {
            "post": {
                "operationId": "deploy",
                "tags": ["components"],
                "summary": "Deploy a tool",
                "security": [{"certificate": []}, {"deployToken": []}],
                "parameters": [
                    TOOL,
                    {"name": "force-run", "in": "query", "schema": {"type": "boolean"}},
                ],
                "responses": answer({"type": "object"}),
            }
        },
        "/logs/v1/tool/{toolname}/job/{job}/logs_stream": {
            "get": {
                "operationId": "followLog",
                "tags": ["logs"],
                "summary": "Follow a log",
                "parameters": [
                    TOOL,
                    named("job"),
                    {"name": "since", "in": "query", "schema": {"type": "string"}},
                    {
                        "name": "X-Trace",
                        "in": "header",
                        "schema": {"type": "array", "items": {"type": "string"}},
                    },
                ],
                "responses": answer({"type": "string"}, "application/x-ndjson"),
            }
        },
    },
    "components": {
        "securitySchemes": {
            "certificate": {"type": "mutualTLS"},
            "deployToken": {"type": "apiKey", "in": "query", "name": "token"},
        },
        "schemas": {
            "JobsList": {
                "type": "object",
                "properties": {"jobs": {"type": "array", "items": ref("JobsJob")}},
            },
            "JobsJob": {
                "type": "object",
                "required": ["name", "cmd", "imagename"],
                "properties": {
                    "name": {"type": "string", "pattern": "[a-z0-9-]+", "maxLength": 52},
                    "cmd": {"type": "string", "description": "What a shell *runs*."},
                    "imagename": {"type": "string", "default": "bookworm"},
                    "retry": {"type": "integer", "minimum": 0, "maximum": 5},
                    "mount": {"enum": ["all", "none"]},
                    "old_name": {"type": "string", "deprecated": True},
                    "after": ref("JobsJob"),
                    "health": {"oneOf": [ref("JobsScript"), {"type": "null"}]},
                    "lost": ref("Nowhere"),
                },
            },
            "JobsScript": {
                "type": "object",
                "properties": {"script": {"type": "string"}, "of": ref("JobsJob")},
            },
            "EnvvarsEnvvar": {
                "type": "object",
                "required": ["name", "value"],
                "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
            },
        },
    },
}


def document() -> JSON:
    """A copy of its own for each test."""
    return copy.deepcopy(_DOCUMENT)

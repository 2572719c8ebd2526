"""Small documents, and what tests ask of merged ones."""

from __future__ import annotations

from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.openapi import shapes
from toolforge_gateway.openapi.merge import merge
from toolforge_gateway.openapi.part import Merged, Part, Settings
from toolforge_gateway.openapi.read import read

SETTINGS = Settings("Toolforge API", "1", servers=(("https://api.example.org", "here"),))


def five() -> list[Part]:
    """Five APIs that collide."""
    return [
        Part("jobs", "/jobs", shapes.fastapi_jobs()),
        Part("builds", "/builds", shapes.go_builds()),
        Part("envvars", "/envvars", shapes.go_envvars()),
        Part("components", "/components", read(shapes.COMPONENTS.encode())),
        Part("logs", "/logs", shapes.fastapi_logs()),
    ]


def document(
    paths: dict[str, Any] | None = None,
    schemas: dict[str, Any] | None = None,
    version: str = "3.1.0",
    **more: Any,
) -> dict[str, Any]:
    """A document with little in it."""
    components = {"schemas": schemas or {}, **more.pop("components", {})}
    return {
        "openapi": version,
        "info": {"title": "A", "version": "1"},
        "paths": paths or {},
        "components": components,
        **more,
    }


def operation(**more: Any) -> dict[str, Any]:
    """An operation with little in it."""
    return {"responses": {"200": {"description": "fine"}}, **more}


def merged(tree: dict[str, Any], settings: Settings = SETTINGS, **more: Any) -> Merged:
    """The document of one API, `api` behind `/api`."""
    return merge([Part("api", "/api", tree, **more)], settings)


def faults(tree: dict[str, Any]) -> list[str]:
    """What openapi-spec-validator has against a document."""
    try:
        return [
            f"{'/'.join(map(str, error.absolute_path))}: {error.message[:500]}"
            for error in OpenAPIV31SpecValidator(tree).iter_errors()
        ]
    except (
        Exception
    ) as error:  # such as a reference that leads nowhere; it has the whole tree in it
        return [f"{type(error).__name__}: {str(error)[:200]}"]

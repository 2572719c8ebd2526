"""The auth service that nginx asks: FastAPI, as it is mostly written.

Only the environment of the benchmark has FastAPI; nothing imports this but uvicorn.
"""

from __future__ import annotations

import re

from fastapi import FastAPI, Header, HTTPException, Response

app = FastAPI()

_CN = re.compile(r"(?:^|,)CN=([a-z0-9][a-z0-9.-]*)(?:,|$)")
_ORGANIZATION = re.compile(r"(?:^|,)O=([^,]*)(?:,|$)")
_PATH = re.compile(r"/[^/]+/v[0-9]+/tool/([a-z0-9][a-z0-9.-]*)(?:/|$)")


@app.get("/auth")
async def auth(
    response: Response,
    x_client_subject: str = Header(""),
    x_client_verify: str = Header(""),
    x_original_uri: str = Header(""),
) -> dict[str, str]:
    """Who calls, and whether the path is theirs."""
    cn, organization = _CN.search(x_client_subject), _ORGANIZATION.search(x_client_subject)
    if x_client_verify != "SUCCESS" or cn is None or organization is None:
        raise HTTPException(401, "no certificate")
    path = _PATH.match(x_original_uri)
    if organization[1] != "toolforge" or path is None or path[1] != cn[1]:
        raise HTTPException(403, "this path is not yours")
    response.headers["X-Toolforge-Tool"] = cn[1]
    return {"tool": cn[1]}

"""The OpenAPI document and its Swagger UI, served from installed assets: no hub, no CDN, air gap or not."""

from functools import cache
from importlib import metadata, resources
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from planvault.errors import NotFound
from serve_apps.access.policy import POLICY
from serve_apps.links import add_links
from serve_apps.schemas.imports import PutTools
from serve_apps.schemas.problems import Problem

OPENAPI_PATH = "/api/openapi.json"
DOCS_PATH = "/api-docs"

DESCRIPTION = """
A model may plan, never act: prompts become plans, plans are validated, approved and run durably.

* **Runtime API** `/api/v1/projects/{projectId}` — with a project key, or as a person or service of the organisation.
* **Admin API** `/admin/v1/orgs/{orgId}` — as a person or service of the organisation, or with the admin token.
* **Account** `/api/v1/account` — a signed-in person's own.

`x-permission` says what a call needs: of a key among its scopes, of a person or service through their role.

Errors are `application/problem+json` with a stable `type`. Every answer carries `X-Request-Id`; send your own
(`[a-zA-Z0-9._~-]{1,128}`) to find it in our logs. `Idempotency-Key` makes a POST safe to repeat for 24 hours.
Unknown fields of a request body are refused, so that a typo is an answer and not a silence.
"""

# The page needs its own script and style, and nothing from anywhere else.
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'"
)
_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>PlanVault API</title>
<link rel="stylesheet" href="{DOCS_PATH}/swagger-ui.css">
<link rel="icon" href="{DOCS_PATH}/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{DOCS_PATH}/swagger-ui-bundle.js"></script>
<script src="{DOCS_PATH}/start.js"></script>
</body>
</html>
"""
_START = f"""SwaggerUIBundle({{
  url: "{OPENAPI_PATH}",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  presets: [SwaggerUIBundle.presets.apis],
}});
"""
_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}


def install(app: FastAPI) -> None:
    @cache
    def document() -> dict[str, Any]:
        return document_of(app)

    async def openapi(_: Request) -> Response:
        return JSONResponse(document())

    app.add_route(OPENAPI_PATH, openapi, include_in_schema=False)
    app.add_route(DOCS_PATH, _docs, include_in_schema=False)
    app.add_route(DOCS_PATH + "/{name}", _asset, include_in_schema=False)


def document_of(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title="PlanVault",
        version=metadata.version("planvault-on-ray"),
        openapi_version="3.1.0",
        description=DESCRIPTION,
        routes=app.routes,
    )
    schemas = document["components"]["schemas"]
    # Models that no handler names as its own parameter or return type.
    for model in (Problem, PutTools):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    # The framework's own error shape is never sent.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    add_links(document)
    for rule in POLICY:
        operation = document["paths"].get(rule.path, {}).get(rule.method.lower())
        if operation is not None and rule.permission:
            operation["x-permission"] = rule.permission
    return document


async def _docs(_: Request) -> Response:
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _CSP})


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name == "start.js":
        return Response(_START, media_type="text/javascript")
    if name not in _ASSETS:
        raise NotFound
    headers = {"Cache-Control": "public, max-age=86400"}
    return Response(_packaged(name), media_type=_ASSETS[name], headers=headers)


@cache
def _packaged(name: str) -> bytes:
    return resources.files("fastapi_swagger").joinpath("resources", name).read_bytes()

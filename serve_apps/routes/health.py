"""Liveness and readiness."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from serve_apps import readiness
from serve_apps.dependencies import Deps
from serve_apps.routes.answers import wire
from serve_apps.schemas.health import Health

router = APIRouter(tags=["health"])


@router.get("/health", response_model=Health, responses={503: {"model": Health, "description": "Not ready"}})
async def health(deps: Deps) -> Response:
    """200 when every part that a run needs is there, 503 with the same body otherwise; an answer at all is liveness."""
    found = await readiness.check(deps.probes)
    return JSONResponse(wire(found), status_code=200 if found.ready else 503)

"""The shop's HTTP API and the OpenAPI document that describes it."""

import asyncio
import secrets
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.middleware.base import RequestResponseEndpoint

from examples.shop import customers, notifications, orders, reports
from examples.shop.store import Store

DESCRIPTION = "A small shop: customers, products, orders, notifications and reports."
TAGS = [
    {"name": "customers", "description": "People who buy here."},
    {"name": "products", "description": "What the shop sells."},
    {"name": "orders", "description": "What was bought, and where it is."},
    {"name": "notifications", "description": "Messages to customers."},
    {"name": "reports", "description": "Figures for the shop's owner; need the shop's token."},
]


def create_app(*, token: str, latency_s: float = 0.02) -> FastAPI:
    """A shop with fresh seed data. `token` opens what only its owner may do; every answer takes `latency_s`."""
    app = FastAPI(title="Shop", version="1.0.0", summary=DESCRIPTION, openapi_tags=TAGS)
    app.state.store = Store.seeded()
    bearer = HTTPBearer(auto_error=False, description="The token that the shop was started with.")

    def require_owner(given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        if given is None or not secrets.compare_digest(given.credentials.encode(), token.encode()):
            raise HTTPException(401, "This needs the shop's token.", headers={"WWW-Authenticate": "Bearer"})

    @app.middleware("http")
    async def take_time(request: Request, call_next: RequestResponseEndpoint) -> Response:
        await asyncio.sleep(latency_s)
        return await call_next(request)

    owner_only: list[Any] = [Depends(require_owner)]
    app.include_router(customers.router)
    app.include_router(orders.router)
    app.include_router(orders.owner_router, dependencies=owner_only)
    app.include_router(notifications.router)
    app.include_router(reports.router, dependencies=owner_only)
    return app

"""What every request passes, whatever its route. Plain ASGI: a middleware that wraps responses would buffer streams."""

from starlette.middleware import Middleware

from planvault.clock import TimeOrderedIds
from serve_apps.middleware.bodies import BodyGuard
from serve_apps.middleware.boundary import BugBoundary
from serve_apps.middleware.heads import HeadGuard
from serve_apps.middleware.identity import RequestIdentity
from serve_apps.middleware.json_bodies import StrictJson

__all__ = ["BodyGuard", "BugBoundary", "HeadGuard", "RequestIdentity", "StrictJson", "proxy_middlewares"]


def proxy_middlewares() -> list[Middleware]:
    """For Ray Serve's proxy: `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=serve_apps.middleware.proxy_middlewares`.

    Outermost first. What the proxy refuses never reaches a replica.
    """
    return [Middleware(RequestIdentity, ids=TimeOrderedIds()), Middleware(HeadGuard)]

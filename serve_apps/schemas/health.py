"""Liveness and readiness on the wire."""

from typing import Literal

from serve_apps.schemas.base import Reply


class PartHealth(Reply):
    """`needed`: the platform is not ready without it. What is not needed makes things faster while it is there."""

    ready: bool
    needed: bool = True
    detail: str = ""


class Health(Reply):
    """`live`: this process answers. `ready`: every part that is needed does."""

    status: Literal["ready", "not_ready"]
    live: bool = True
    ready: bool
    parts: dict[str, PartHealth]

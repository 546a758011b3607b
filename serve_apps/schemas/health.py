"""Liveness and readiness on the wire."""

from typing import Literal

from serve_apps.schemas.base import Reply


class PartHealth(Reply):
    ready: bool
    detail: str = ""


class Health(Reply):
    """`live`: this process answers. `ready`: every part that a run needs does."""

    status: Literal["ready", "not_ready"]
    live: bool = True
    ready: bool
    parts: dict[str, PartHealth]

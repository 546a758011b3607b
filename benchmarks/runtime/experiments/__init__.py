"""One experiment a module: `run` returns its rows; all share the server, the service and the peers' environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from benchmarks.runtime.server import Server

Row: TypeAlias = dict[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True)
class Place:
    server: Server
    service: str  # base URL of the loopback service
    peers: Path | None  # the peers' Python; None: without them
    quick: bool

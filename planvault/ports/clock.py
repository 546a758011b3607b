"""Time and identifiers: what the core may not make itself."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID


class Clock(Protocol):
    def now(self) -> datetime:
        """Wall-clock time, timezone-aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow; comparable within one process."""
        ...


class Ids(Protocol):
    def new(self) -> UUID:
        """A fresh version-7 UUID."""
        ...

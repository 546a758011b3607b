"""The real clock and the real ids; the only place where the library reads them."""

import time
from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7


class SystemClock:
    """Implements the Clock port."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class TimeOrderedIds:
    """Implements the Ids port with version-7 UUIDs (RFC 9562)."""

    def new(self) -> UUID:
        return uuid7()

"""What the database refuses while a person, or a project, is being erased, and in one that is gone (0019, 0022)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from planvault.errors import ErasureUnderWay, NotFound

_REFUSED = "PV003"
_DELETED = "PV004"


@contextmanager
def unless_erased() -> Iterator[None]:
    """Raises ErasureUnderWay where nothing new may be made of the person or in the project now, NotFound where the
    project is deleted."""
    try:
        yield
    except asyncpg.PostgresError as fault:
        if fault.sqlstate == _DELETED:
            raise NotFound("There is no such project.") from fault
        if fault.sqlstate != _REFUSED:
            raise
        raise ErasureUnderWay("Try again when the erasure is completed: GET …/gdpr/erasures tells.") from fault

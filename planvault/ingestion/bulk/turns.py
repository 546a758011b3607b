"""Documents are stored in the order of their paths, whichever was ready first.

Two documents that claim one name get the same answer each time. Nothing else hangs on it: whoever has waited too long
goes on, and the names are unique all the same.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from planvault.storage import bulk_documents
from planvault.storage.bulk_imports import ClaimedJob
from planvault.storage.pool import Pool
from planvault.storage.tenancy import scoped

_log = structlog.get_logger(__name__)

PATIENCE_S: Final = 300.0  # the largest documents are stored in twenty
_LOOK_S: Final = 0.02


async def in_turn(pool: Pool, claim: ClaimedJob, paths: Sequence[str], patience_s: float = PATIENCE_S) -> None:
    """Return when no document waits that comes before these."""
    try:
        async with asyncio.timeout(patience_s):
            # Other processes store them: there is no event to wait for.
            while await bulk_documents.waits_before(scoped(pool, claim.scope), claim, paths):  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        _log.warning("bulk_import.out_of_turn", path=paths[0])

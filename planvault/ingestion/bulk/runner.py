"""Claims bulk imports and has them run; what a crash leaves behind, the next claim picks up."""

import asyncio
from contextlib import suppress
from typing import Protocol

import structlog

from planvault.errors import OwnershipLost
from planvault.storage import bulk_imports
from planvault.storage.bulk_imports import ClaimedJob
from planvault.storage.pool import Pool, is_away
from planvault.storage.tenancy import scoped

_log = structlog.get_logger(__name__)

LEASE_S = 30.0
MAX_ATTEMPTS = 10


class RunsJobs(Protocol):
    """Who does the work of a claimed job, somewhere; cancelling the call ends it there."""

    async def run(self, claim: ClaimedJob) -> None: ...


class BulkImporter:
    """Several may run in one cluster: a job is one worker's while it renews its lease."""

    def __init__(self, pool: Pool, jobs: RunsJobs, lease_s: float = LEASE_S) -> None:
        self._pool = pool
        self._jobs = jobs
        self._lease_s = lease_s

    async def run_one(self) -> bool:
        """Claim one job and see it to its end; False where none is waiting.

        What fails is claimed again when its lease has run out, until it was tried MAX_ATTEMPTS times.
        """
        await bulk_imports.expire(self._pool)
        claim = await bulk_imports.claim_job(self._pool, self._lease_s)
        if claim is None:
            return False
        log = _log.bind(import_id=str(claim.id), org_id=str(claim.scope.org_id), attempt=claim.attempt)
        if claim.attempt > MAX_ATTEMPTS:
            reason = f"The import was tried {MAX_ATTEMPTS} times without reaching its end; see the logs, import again."
            await bulk_imports.fail_job(scoped(self._pool, claim.scope), claim, reason)
            return True
        log.info("bulk_import.claimed", stage=claim.stage.value)
        try:
            await self._held(claim)
        except OwnershipLost:
            log.warning("bulk_import.taken_over_or_cancelled")
        return True

    async def _held(self, claim: ClaimedJob) -> None:
        """Run the job while renewing its lease. Raises OwnershipLost, and then its work has been ended."""
        task = asyncio.ensure_future(self._jobs.run(claim))
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=self._lease_s / 6)
                if not task.done():
                    await self._renew(claim)
            if task.exception() is not None:
                await bulk_imports.renew_job(self._pool, claim, self._lease_s)  # whose fault it was: ours, if it is
            task.result()
        finally:
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _renew(self, claim: ClaimedJob) -> None:
        """A database that is away for a moment costs nothing while the lease lasts, which only the database knows."""
        try:
            await bulk_imports.renew_job(self._pool, claim, self._lease_s)
        except OwnershipLost:
            raise
        # Which faults mean that is the pool's knowledge; all others go up as they are.
        except Exception as fault:
            if not is_away(fault):
                raise
            _log.warning("bulk_import.not_renewed", import_id=str(claim.id), cause=type(fault).__name__)

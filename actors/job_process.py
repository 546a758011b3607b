"""Runs a claimed bulk import in a process of its own. Plain; what the process is, whoever starts the actors says."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from models.bulk_imports import Stage
from models.ids import BulkImportId, OrgId
from models.tenants import OrgScope
from planvault.errors import Unavailable
from planvault.storage.bulk_imports import ClaimedJob


class JobProcesses:
    """Implements RunsJobs. `command`: arguments of this Python; the job comes as one line of JSON on standard input.

    Standard input stays open as long as somebody waits for the job: the process ends when it closes, however that
    comes about (`cluster.jobs.driver`).
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)

    async def run(self, claim: ClaimedJob) -> None:
        """Raises Unavailable where the process did not bring the job to its end; its log says why."""
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *self._command, stdin=asyncio.subprocess.PIPE
            )
        except OSError as fault:
            raise Unavailable(f"No process could be started for the import: {fault}.") from fault
        assert process.stdin is not None
        try:
            process.stdin.write(dumped(claim))
            with suppress(ConnectionError):  # it has ended: its status says so
                await process.stdin.drain()
            status = await process.wait()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if status != 0:
            raise Unavailable(f"The import's process ended with status {status}.")


def dumped(claim: ClaimedJob) -> bytes:
    fields = {
        "id": str(claim.id),
        "orgId": str(claim.scope.org_id),
        "attempt": claim.attempt,
        "stage": claim.stage.value,
        "namePrefix": claim.name_prefix,
        "prune": claim.prune,
    }
    return json.dumps(fields).encode() + b"\n"


def loaded(line: bytes | str) -> ClaimedJob:
    """What `dumped` made."""
    fields = json.loads(line)
    return ClaimedJob(
        id=BulkImportId(UUID(fields["id"])),
        scope=OrgScope(org_id=OrgId(UUID(fields["orgId"]))),
        attempt=int(fields["attempt"]),
        stage=Stage(fields["stage"]),
        name_prefix=str(fields["namePrefix"]),
        prune=bool(fields["prune"]),
    )

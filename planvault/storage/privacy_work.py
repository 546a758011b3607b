"""Works requests for export and erasure off, a few seconds at a time each: none waits for a large one."""

from __future__ import annotations

from datetime import timedelta

import structlog

from models.audit import AuditAction, AuditRow
from models.privacy import ERASURE, PrivacyRequest, RequestKind, RequestState, Stage
from planvault.errors import PlanVaultError
from planvault.ports import Clock, Ids, Keyring
from planvault.storage.audit import AuditLog
from planvault.storage.pool import Pool, is_away
from planvault.storage.privacy import SQL, Detail
from planvault.storage.privacy_claims import Claim, ClaimLost, Claims
from planvault.storage.privacy_erasure import Erasure, Outcome
from planvault.storage.privacy_export import Exporter
from planvault.storage.tenancy import within

_log = structlog.get_logger(__name__)

_SLICE_S = 5.0  # of one request, while others wait
_WAIT = timedelta(seconds=1)
_AFTER_FAULT = timedelta(seconds=15)
_LONGEST_REASON = 1_000


class PrivacyWork:
    """`pool` may work across organisations. Several may work at once: a request is one's at a time."""

    def __init__(
        self, pool: Pool, keyring: Keyring, erasure: Erasure, exporter: Exporter, clock: Clock, ids: Ids
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._claims = Claims(pool, keyring)
        self._audit = AuditLog(pool, keyring)
        self._erasure = erasure
        self._exporter = exporter
        self._clock = clock
        self._ids = ids

    async def once(self, kind: RequestKind, wait: timedelta = _WAIT) -> bool:
        """Go on with the request that has waited longest; false where none waits. `wait`: before it is looked at again
        where it waits for others. Raises what an absent database raises."""
        claim = await self._claims.take(kind)
        if claim is None:
            return False
        pause, error = timedelta(), None
        try:
            claim, waits = await self._work(claim)
            pause = wait if waits else pause
        except ClaimLost:
            return True
        # One request's trouble is not the others': it says what it is, and is tried again.
        except Exception as fault:
            if is_away(fault) and not isinstance(fault, PlanVaultError):
                raise
            _log.exception("privacy.interrupted", request=str(claim.request.id))
            pause, error = _AFTER_FAULT, _reason(fault)
        await self._claims.let_go(claim, pause, error)
        return True

    async def _work(self, claim: Claim) -> tuple[Claim, bool]:
        """For a slice of time; the claim as it is then, and whether it waits for others."""
        detail = await self._claims.detail(claim)
        if claim.request.kind is RequestKind.EXPORT:
            counts = await self._exporter.write(claim, detail)
            await self._finish(claim, detail, counts)
            return claim, False
        until = self._clock.monotonic() + _SLICE_S
        if not claim.request.stage:
            claim = await self._enter(claim, ERASURE[0])
        while self._clock.monotonic() < until:
            match await self._erasure.step(claim, detail):
                case Outcome.WAIT:
                    return claim, True
                case Outcome.DONE:
                    following = ERASURE.index(Stage(claim.request.stage)) + 1
                    if following == len(ERASURE):
                        await self._finish(claim, detail, {})
                        return claim, False
                    claim = await self._enter(claim, ERASURE[following])
                case Outcome.MORE:
                    pass
        return claim, False

    async def _enter(self, claim: Claim, stage: Stage) -> Claim:
        async with within(self._pool, claim.scope) as connection:
            return await claim.enter(connection, stage)

    async def _finish(self, claim: Claim, detail: Detail, counts: dict[str, int]) -> None:
        """The identifier is forgotten with the end of the work. Of an erasure the audit log keeps the pseudonyms."""
        request = claim.request
        sealed = Detail(detail.actor).sealed(await self._keyring.cipher(request.org_id), request.id)
        async with within(self._pool, claim.scope) as connection:
            await claim.progress(connection, counts)
            totals = await connection.fetchval(SQL["counts"], *claim.place)
        witness = await self._audit.witness(request.org_id, self._row(request, totals))
        async with within(self._pool, claim.scope) as connection:
            await claim.finish(connection, RequestState.COMPLETED, sealed, None)
            if request.kind is RequestKind.ERASURE:
                await witness(connection)
        _log.info("privacy.completed", request=str(request.id), kind=request.kind.value, target=request.target.value)

    def _row(self, request: PrivacyRequest, counts: dict[str, int]) -> AuditRow:
        details = told(request) | {"actor": "platform", "counts": counts}
        return AuditRow(id=self._ids.new(), at=self._clock.now(), action=AuditAction.GDPR_ERASED, details=details)


def told(request: PrivacyRequest) -> dict[str, object]:
    """What the audit log is told of a request: whom it is about by pseudonym, never by name."""
    return {
        "requestId": str(request.id),
        "target": request.target.value,
        "projectId": None if request.project_id is None else str(request.project_id),
        "subjects": [subject.hex() for subject in request.subjects],
    }


def _reason(fault: Exception) -> str:
    """What people may read: our own errors say what to do, of others only the kind is told."""
    if isinstance(fault, PlanVaultError):
        return f"{fault.code}: {fault.detail}"[:_LONGEST_REASON]
    return f"INTERNAL: {type(fault).__name__}; the platform's log has more. It is tried again."

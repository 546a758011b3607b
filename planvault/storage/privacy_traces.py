"""What no session takes along: jobs, vectors of prompts, votes on other people's runs, exports, the audit log."""

from __future__ import annotations

from uuid import UUID

import orjson

from models.privacy import Target
from models.tenants import ProjectScope
from planvault.ports import Keyring
from planvault.privacy.mentions import Mentions
from planvault.storage.audit import AuditErasure, opened_details
from planvault.storage.pool import Connection, Pool
from planvault.storage.privacy import Detail
from planvault.storage.privacy_claims import Claim, position_of, set_position
from planvault.storage.privacy_staff import StaffErasure
from planvault.storage.queries import load
from planvault.storage.tenancy import within

_SQL = load("planvault.storage", "sql/privacy_erasure.sql")
_JOBS = 500
_AUDIT_ROWS = 500


class TraceErasure:
    def __init__(self, pool: Pool, keyring: Keyring, audit: AuditErasure) -> None:
        self._pool = pool
        self._keyring = keyring
        self._audit = audit
        self._staff = StaffErasure(keyring)

    async def portion(self, claim: Claim, detail: Detail) -> bool:
        """Whether there may be more."""
        await self._keyring.cipher(claim.request.org_id)  # before: the transaction must not wait for a connection
        async with within(self._pool, claim.scope) as connection:
            jobs: int = await connection.fetchval(_SQL["delete_jobs"], *claim.target, _JOBS)
            exports = await connection.fetch(_SQL["drop_exports"], *claim.target, claim.request.id)
            counts = {"scheduled_jobs": jobs, "privacy_exports": len(exports)}
            if claim.request.target is Target.MEMBER:
                counts |= await self._staff.portion(connection, claim, detail)
            if claim.request.target in (Target.EXTERNAL_USER, Target.MEMBER):
                more = await self._of_person(connection, claim, detail, counts)
            else:
                more = await self._of_project(connection, claim, counts)
            await claim.progress(connection, counts)
        return more or jobs == _JOBS

    async def _of_person(self, connection: Connection, claim: Claim, detail: Detail, counts: dict[str, int]) -> bool:
        org_id, subjects, voters = claim.request.org_id, list(claim.request.subjects), list(claim.request.voters)
        counts["scenario_samples"] = await connection.fetchval(_SQL["delete_samples"], org_id, subjects)
        counts["scenario_users"] = await connection.fetchval(_SQL["delete_supporters"], org_id, subjects)
        counts["feedback"] = await connection.fetchval(_SQL["delete_votes"], org_id, voters)
        if not detail.identifiers:
            return False
        seq = int(str((await position_of(connection, claim)).get("audit", 0)))
        rows = await connection.fetch(_SQL["loose_audit_rows"], org_id, seq, _AUDIT_ROWS)
        cipher = await self._keyring.cipher(org_id)
        mentions = Mentions(*detail.identifiers)
        named: list[UUID] = []
        for row in rows:
            details = opened_details(cipher, row)
            # What does not open names nobody. It is the verification's to tell of, and must not hold an erasure up.
            if details is not None and mentions.in_json(orjson.loads(details.text)):
                named.append(row["id"])
        why = f"erasure {claim.request.id}"
        counts["audit_log"] = len(await self._audit.of_rows(connection, claim.scope, named, "erasure", why))
        if rows:
            await set_position(connection, claim, {"audit": rows[-1]["seq"]})
        return len(rows) == _AUDIT_ROWS

    async def _of_project(self, connection: Connection, claim: Claim, counts: dict[str, int]) -> bool:
        if claim.request.project_id is None:
            return False
        scope = ProjectScope(org_id=claim.request.org_id, project_id=claim.request.project_id)
        why = f"erasure {claim.request.id}"
        after = int(str((await position_of(connection, claim)).get("audit", 0)))
        blanked, seq = await self._audit.of_project(connection, scope, after, _AUDIT_ROWS, "erasure", why)
        await set_position(connection, claim, {"audit": seq})
        counts["audit_log"] = blanked
        return blanked == _AUDIT_ROWS

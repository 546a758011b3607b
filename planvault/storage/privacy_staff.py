"""What an organisation's own tables say of a person of its staff: invitations, and who made what."""

from __future__ import annotations

from planvault.ports import Keyring
from planvault.privacy.mentions import Mentions
from planvault.storage.pool import Connection
from planvault.storage.privacy import Detail
from planvault.storage.privacy_claims import Claim
from planvault.storage.queries import load
from planvault.storage.scenarios import scenario_seal

_SQL = load("planvault.storage", "sql/privacy_staff.sql")
ERASED = "erased"
"""Stands where the person's label stood: that somebody made it remains true."""


class StaffErasure:
    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def portion(self, connection: Connection, claim: Claim, detail: Detail) -> dict[str, int]:
        """All of it: an organisation has few of these rows. Counts by table."""
        org_id, names = claim.request.org_id, list(detail.identifiers)
        people = list(claim.request.subjects)
        gone = await connection.fetchval(_SQL["delete_invitations"], org_id, people, names)
        changed = await connection.fetchval(_SQL["blank_invited_by"], org_id, names, ERASED)
        tokens = await connection.fetchval(_SQL["blank_tokens"], org_id, names, ERASED)
        scenarios = await self._scenarios(connection, claim, Mentions(*names))
        return {"invitations": gone + changed, "service_tokens": tokens, "scenarios": scenarios}

    async def _scenarios(self, connection: Connection, claim: Claim, names: Mentions) -> int:
        """Whose author is sealed. A scenario stays: it is the organisation's."""
        cipher = await self._keyring.cipher(claim.request.org_id)
        changed = 0
        for row in await connection.fetch(_SQL["authors"], claim.request.org_id):
            place = scenario_seal(row["id"], "created_by")
            if names.in_text(cipher.open(row["created_by"], place).decode()):
                sealed = cipher.seal(ERASED.encode(), place)
                await connection.execute(_SQL["blank_author"], claim.request.org_id, row["id"], sealed)
                changed += 1
        return changed

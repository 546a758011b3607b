"""A real chain in a real database, and an attacker who owns that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.audit import AuditAction, AuditRow
from models.ids import OrgId
from models.tenants import OrgScope
from planvault.audit.faults import FaultKind, Report
from planvault.audit.reading import verify_export
from planvault.audit.statements import SignedHead
from planvault.clock import TimeOrderedIds
from planvault.crypto.kek import LocalKeyWrapper
from planvault.storage.audit import AuditErasure, AuditLog
from planvault.storage.audit_anchors import AuditAnchoring
from planvault.storage.audit_chain import AuditChain
from planvault.storage.audit_keys import AuditKeys
from planvault.storage.audit_verify import export, verify_portion
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Pool, Role, open_pool, transaction
from planvault.storage.tenants import Tenants


@dataclass
class MovableClock:
    at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


class Room:
    """One organisation's log."""

    def __init__(self, pool: Pool, keyring: PostgresKeyring, ids: TimeOrderedIds, org_id: OrgId) -> None:
        self.pool, self.ids, self.clock = pool, ids, MovableClock()
        self.scope = OrgScope(org_id=org_id)
        self.log = AuditLog(pool, keyring)
        self.chain = AuditChain(pool, keyring, AuditKeys(pool, keyring, ids, self.clock), self.clock)
        self.erasure = AuditErasure(keyring, ids, self.clock)
        self.anchoring = AuditAnchoring(self.chain, self.clock, self._kept_for)
        self.keyring = keyring
        self.kept = timedelta(days=365)

    async def _kept_for(self, _: OrgScope) -> timedelta:
        return self.kept

    def row(self, number: int = 0, action: AuditAction = AuditAction.PLAN_APPROVED) -> AuditRow:
        details = {"actor": f"alice {number}", "planHash": "ab"}
        return AuditRow(id=self.ids.new(), at=self.clock.now(), action=action, details=details)

    async def write(self, count: int = 1) -> list[AuditRow]:
        rows = [self.row(number) for number in range(count)]
        for row in rows:
            witness = await self.log.witness(self.scope.org_id, row)
            async with transaction(self.pool) as connection:
                await witness(connection)
        return rows

    async def attack(self, *statements: str) -> None:
        """As a superuser who first puts the triggers out of the way."""
        async with transaction(self.pool) as connection:
            await connection.execute("SET LOCAL session_replication_role = replica")
            for statement in statements:
                await connection.execute(statement.replace("$org", f"'{self.scope.org_id}'"))

    async def verify(self, limit: int = 1_000) -> list[Report]:
        portion = await verify_portion(self.chain, self.scope, limit=limit)
        reports = [portion.report]
        while portion.next is not None:
            portion = await verify_portion(self.chain, self.scope, portion.next, limit=limit)
            reports.append(portion.report)
        return reports

    async def faults(self) -> list[tuple[int, FaultKind]]:
        return [(fault.seq, fault.kind) for report in await self.verify() for fault in report.faults]

    async def lines(self, *, details: bool = True) -> list[bytes]:
        text = b"".join([part async for part in export(self.chain, self.clock, self.scope, details=details)])
        return text.splitlines()

    async def offline(
        self, pinned: Sequence[bytes] = (), expected: Sequence[SignedHead] = ()
    ) -> list[tuple[int, FaultKind]]:
        report = verify_export(await self.lines(), pinned=pinned, expected=expected)
        return [(fault.seq, fault.kind) for fault in report.faults]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


async def open_room(pool: Pool, keys: Path) -> Room:
    ids = TimeOrderedIds()
    organization = await Tenants(pool, ids).create_organization(f"org {ids.new()}")
    keyring = PostgresKeyring(pool, LocalKeyWrapper.at(keys / "keyset.json"), ids)
    return Room(pool, keyring, ids, organization.id)


@pytest.fixture
async def room(pool: Pool, keys: Path) -> Room:
    return await open_room(pool, keys)


@pytest.fixture
async def as_platform(database_url: str, keys: Path) -> AsyncIterator[Room]:
    """An organisation, by the connections of the platform's own processes: hosts, and the caretaker."""
    async with await open_pool(database_url, name="platform", role=Role.PLATFORM) as platform:
        yield await open_room(platform, keys)


@pytest.fixture
async def other(pool: Pool, keys: Path) -> Room:
    """Another organisation."""
    return await open_room(pool, keys)

"""An export reads no further than it was taken, and pages are bounded in bytes as well."""

from collections.abc import AsyncIterator

import orjson

from models.audit import AuditAction, AuditRow
from models.tenants import OrgScope
from planvault.audit.record import ChainedRow
from planvault.storage.audit import AuditFilter
from planvault.storage.audit_chain import AuditChain
from planvault.storage.audit_verify import export
from planvault.storage.tenancy import within
from tests.integration.audit.conftest import Room


class Counting(AuditChain):
    """Two rows a page, and how many pages were read."""

    pages = 0

    async def rows(self, scope: OrgScope, after: int, upto: int, *, page: int = 2) -> AsyncIterator[list[ChainedRow]]:
        async for rows in super().rows(scope, after, upto, page=page):
            self.pages += 1
            yield rows


async def test_an_export_reads_a_page_when_the_one_before_was_taken(room: Room) -> None:
    await room.write(9)
    chain = Counting(room.pool, room.keyring, room.chain.keys, room.clock)
    parts = export(chain, room.clock, room.scope)
    await anext(parts)
    assert chain.pages == 0
    for taken in range(1, 4):
        await anext(parts)
        assert chain.pages == taken
    await room.write(1)  # what comes meanwhile belongs to the next export
    rest = b"".join([part async for part in parts]).splitlines()
    assert orjson.loads(rest[-1])["seq"] == orjson.loads(rest[-2])["seq"] == 9


async def test_a_page_of_large_details_holds_fewer_rows_and_the_next_one_goes_on(room: Room) -> None:
    for number in range(5):
        details = {"actor": "a", "settings": str(number) * 400_000}
        row = AuditRow(id=room.ids.new(), at=room.clock.now(), action=AuditAction.SETTINGS_CHANGED, details=details)
        witness = await room.log.witness(room.scope.org_id, row)
        async with within(room.pool, room.scope) as connection:
            await witness(connection)
    first = await room.log.page(room.scope, AuditFilter(), None, 50)
    second = await room.log.page(room.scope, AuditFilter(), first.before, 50)
    assert ([entry.seq for entry in first.entries], first.before) == ([5, 4, 3], 3)
    assert ([entry.seq for entry in second.entries], second.before) == ([2, 1], None)
    assert (await room.verify())[0].rows == 5

"""The database's hash is the documented one, for every row there can be."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planvault.audit.record import ChainedRow, row_hash
from planvault.storage.pool import Pool

IDS = st.uuids()
HASHES = st.binary(min_size=32, max_size=32)
TIMES = st.datetimes(datetime(1900, 1, 1), datetime(9000, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001
ACTIONS = st.text(max_size=40).filter(lambda text: "\x00" not in text and text.isprintable())
SQL = "SELECT audit_row_hash($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"


async def test_sql_and_python_hash_the_same_bytes(pool: Pool) -> None:
    drawn: list[tuple[UUID, bytes, ChainedRow]] = []

    @settings(max_examples=150, suppress_health_check=list(HealthCheck), database=None)
    @given(
        IDS,
        HASHES,
        st.builds(
            ChainedRow,
            seq=st.integers(1, 2**63 - 1),
            id=IDS,
            at=TIMES,
            action=ACTIONS,
            project_id=st.none() | IDS,
            session_id=st.none() | IDS,
            run_id=st.none() | IDS,
            details_digest=st.none() | HASHES,
            prev_hash=HASHES,
            hash=HASHES,
            details=st.none(),
        ),
    )
    def draw(org_id: UUID, before: bytes, row: ChainedRow) -> None:
        drawn.append((org_id, before, row))

    draw()
    assert len(drawn) > 100
    for org_id, before, row in drawn:
        values = (row.project_id, row.session_id, row.run_id, row.action, row.details_digest)
        found = await pool.fetchval(SQL, before, org_id, row.seq, row.id, row.at, *values)
        assert found == row_hash(org_id, before, row), row

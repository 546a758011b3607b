"""Reads an organisation's index out of Postgres into a resident copy: all of it once, then what has changed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor
from uuid import UUID

import asyncpg
import numpy as np

from models.ids import IntegrationId, OrgId
from models.tenants import OrgScope
from planvault.storage.pool import Connection, Pool
from planvault.storage.queries import load
from planvault.storage.tenancy import within
from retrieval.embedding import DIMENSIONS
from retrieval.groups.explain import GroupOrigin, why
from retrieval.groups.routed import Routing
from retrieval.index.resident_block import Columns, Mask, joined, uuid_of
from retrieval.index.resident_copy import Copy
from retrieval.index.resident_groups import Groups, together

_SQL = load("retrieval", "sql/resident.sql")
# Tools in one answer: some 5 MB.
_PAGE = 2_048
# pgvector's binary forms: vector is int16 dimensions, int16 unused, float4 …; sparsevec is int32 dimensions, int32
# entries, int32 unused, int32 positions …, float4 values … [pgvector: src/vector.c, src/sparsevec.c]
_VECTOR = np.dtype([("head", ">i2", (2,)), ("values", ">f4", (DIMENSIONS,))])
_SPARSE_HEAD = 3
_START = UUID(int=0)


async def read_copy(pool: Pool, work: Executor, org_id: OrgId, model: str, before: Copy | None) -> Copy:
    """The organisation's index as it is now. `before` gives what has not changed since; None reads everything.

    One snapshot of the database; whatever costs time runs in `work`, away from the event loop.
    """
    async with within(pool, OrgScope(org_id=org_id), snapshot=True) as connection:
        stamps = await connection.fetch(_SQL["revisions"], org_id)
        revision = stamps[0]["of_all"] if stamps else 0
        revisions = {IntegrationId(row["integration_id"]): row["revision"] for row in stamps if row["integration_id"]}
        base = before or Copy(0, {})
        changed = [i for i, stamp in revisions.items() if base.revisions.get(i) != stamp]
        loop = asyncio.get_running_loop()
        pages, groups = [], []
        if changed:
            async for record in _pages(connection, org_id, model, changed, before):
                pages.append(await loop.run_in_executor(work, _columns, record))
            async for record in _groups(connection, org_id, model, None if before is None else changed):
                groups.append(await loop.run_in_executor(work, _grouped, record))
    return await loop.run_in_executor(work, _next, base, revision, revisions, pages, groups)


def _next(
    base: Copy,
    revision: int,
    revisions: dict[IntegrationId, int],
    pages: list[tuple[Columns, Mask]],
    groups: list[Groups],
) -> Copy:
    changed = joined([columns for columns, _ in pages]) if pages else _NOTHING
    active = np.concatenate([np.zeros(0, dtype=np.bool_), *(active for _, active in pages)])
    return base.refreshed(revision, revisions, changed, active, together(groups))


async def _pages(
    connection: Connection, org_id: OrgId, model: str, changed: list[IntegrationId], before: Copy | None
) -> AsyncIterator[asyncpg.Record]:
    since = -1 if before is None else before.revision
    some = None if before is None else changed
    after = (_START, _START)
    while True:
        record = await connection.fetchrow(_SQL["page"], org_id, model, since, *after, _PAGE, before is not None, some)
        if record is None or not record["tools"]:
            return
        yield record
        if record["tools"] < _PAGE:
            return
        after = (UUID(bytes=record["integrations"][-16:]), UUID(bytes=record["ids"][-16:]))


async def _groups(
    connection: Connection, org_id: OrgId, model: str, some: list[IntegrationId] | None
) -> AsyncIterator[asyncpg.Record]:
    after = (_START, _START)
    while True:
        record = await connection.fetchrow(_SQL["groups"], org_id, model, some, *after, _PAGE)
        if record is None or not record["groups"]:
            return
        yield record
        if record["groups"] < _PAGE:
            return
        after = (UUID(bytes=record["integrations"][-16:]), UUID(bytes=record["ids"][-16:]))


def _grouped(record: asyncpg.Record) -> Groups:
    centroids = np.frombuffer(record["centroids"], dtype=_VECTOR)["values"].astype(np.float32)
    coherences = np.array(record["coherences"], dtype=np.float32)
    ids = np.frombuffer(record["ids"], dtype="S16")
    integrations = np.frombuffer(record["integrations"], dtype="S16")
    return Groups(
        ids=ids,
        integrations=integrations,
        group_ids=np.array([uuid_of(value) for value in ids], dtype=object),
        integration_ids=np.array([IntegrationId(uuid_of(value)) for value in integrations], dtype=object),
        names=np.array(record["names"], dtype=object),
        whys=np.array([why(origin) for origin in _origins(record)], dtype=object),
        sizes=np.array(record["sizes"], dtype=np.int32),
        coherences=coherences,
        reaches=np.array(record["reaches"], dtype=np.float32),
        spoken_for=np.array(record["spoken_for"], dtype=np.bool_),
        directions=centroids / coherences[:, None],
    )


def _origins(record: asyncpg.Record) -> Iterator[GroupOrigin]:
    columns = ("bases", "parts", "sizes", "base_sizes", "coherences", "base_coherences", "reaches", "spoken_for")
    for base, parts, size, base_size, coherence, base_coherence, reach, spoken_for in zip(
        *(record[column] for column in columns), strict=True
    ):
        routing: Routing = "centroid" if spoken_for else "best_member"
        yield GroupOrigin(base, parts, size, base_size, coherence, base_coherence, reach, routing)


def _columns(record: asyncpg.Record) -> tuple[Columns, Mask]:
    """A page as arrays, and which of its tools are active."""
    embedded = np.array(record["embedded"], dtype=np.bool_)
    vectors = np.zeros((len(embedded), DIMENSIONS), dtype=np.float32)
    vectors[embedded] = np.frombuffer(record["vectors"] or b"", dtype=_VECTOR)["values"]
    rows, lexemes, weights = _entries(record["impacts"] or b"", np.array(record["impact_sizes"], dtype=np.int64))
    columns = Columns(
        ids=np.frombuffer(record["ids"], dtype="S16"),
        integrations=np.frombuffer(record["integrations"], dtype="S16"),
        group_ids=np.frombuffer(record["group_ids"], dtype="S16"),
        versions=np.array(record["versions"], dtype=np.int32),
        names=record["names"],
        groups=record["groups"],
        requires=record["requires"],
        produces=record["produces"],
        embedded=embedded,
        vectors=vectors,
        entry_lexemes=lexemes,
        entry_rows=rows,
        entry_weights=weights,
    )
    return columns, np.array(record["active"], dtype=np.bool_)


def _entries(
    data: bytes, sizes: "np.ndarray[tuple[int], np.dtype[np.int64]]"
) -> tuple[
    "np.ndarray[tuple[int], np.dtype[np.int32]]",
    "np.ndarray[tuple[int], np.dtype[np.int32]]",
    "np.ndarray[tuple[int], np.dtype[np.float32]]",
]:
    """Sparse vectors one behind the other, `sizes` bytes each → row, position and value of every entry."""
    counts = np.maximum(sizes // 4 - _SPARSE_HEAD, 0) // 2
    starts = (np.cumsum(sizes) - sizes) // 4 + _SPARSE_HEAD
    # Where the entries stand: each vector's start, counted up within it.
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    places = np.repeat(starts, counts) + within
    lexemes = np.frombuffer(data, dtype=">i4")[places].astype(np.int32)
    weights = np.frombuffer(data, dtype=">f4")[places + np.repeat(counts, counts)].astype(np.float32)
    return np.repeat(np.arange(len(sizes), dtype=np.int32), counts), lexemes, weights


_NO_IDS = np.zeros(0, dtype="S16")
_NO_NUMBERS = np.zeros(0, dtype=np.int32)
_NOTHING = Columns(
    ids=_NO_IDS,
    integrations=_NO_IDS,
    group_ids=_NO_IDS,
    versions=_NO_NUMBERS,
    names=[],
    groups=[],
    requires=[],
    produces=[],
    embedded=np.zeros(0, dtype=np.bool_),
    vectors=np.zeros((0, DIMENSIONS), dtype=np.float32),
    entry_lexemes=_NO_NUMBERS,
    entry_rows=_NO_NUMBERS,
    entry_weights=np.zeros(0, dtype=np.float32),
)

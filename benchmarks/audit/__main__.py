"""`python -m benchmarks.audit [--rows N]`: rows with and without the chain, verification, export.

Without the chain means: its trigger is switched off in the throw-away database, and nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from benchmarks.runtime.server import throw_away
from models.ids import OrgId
from models.tenants import OrgScope
from planvault.audit.reading import ExportReader
from planvault.cli.audit_stream import lines
from planvault.clock import SystemClock, TimeOrderedIds
from planvault.crypto.kek import LocalKeyWrapper
from planvault.storage.audit import sealed_details
from planvault.storage.audit_chain import AuditChain
from planvault.storage.audit_keys import AuditKeys
from planvault.storage.audit_verify import export, verify_portion
from planvault.storage.keys import PostgresKeyring
from planvault.storage.migrate import migrate
from planvault.storage.pool import Pool, open_pool
from planvault.storage.tenants import Tenants

_IDS, _CLOCK = TimeOrderedIds(), SystemClock()
_INSERT = (
    "INSERT INTO audit_log (id, org_id, at, action, details, details_digest)"
    " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::bytea[], $6::bytea[])"
)
_DETAILS = b'{"actor":"alice (key:k)","planHash":"0123456789abcdef0123456789abcdef","run":"of a usual length"}'


class Bench:
    def __init__(self, pool: Pool, folder: Path) -> None:
        self.pool = pool
        self.keyring = PostgresKeyring(pool, LocalKeyWrapper.at(folder / "keyset.json"), _IDS)
        self.chain = AuditChain(pool, self.keyring, AuditKeys(pool, self.keyring, _IDS, _CLOCK), _CLOCK)

    async def org(self) -> OrgId:
        return (await Tenants(self.pool, _IDS).create_organization(f"org {_IDS.new()}")).id

    async def insert(self, orgs: list[OrgId]) -> float:
        """Seconds of one autocommit statement with one row for each entry of `orgs`."""
        rows = []
        for org in orgs:
            row_id, cipher = _IDS.new(), await self.keyring.cipher(org)
            rows.append((row_id, org, datetime.now(UTC), "PLAN_APPROVED", *sealed_details(cipher, row_id, _DETAILS)))
        columns = [list(column) for column in zip(*rows, strict=True)]
        began = perf_counter()
        await self.pool.execute(_INSERT, *columns)
        return perf_counter() - began

    async def statements(self, writers: list[list[OrgId]], laps: int) -> str:
        async def write(orgs: list[OrgId]) -> list[float]:
            return [await self.insert(orgs) for _ in range(laps)]

        began = perf_counter()
        times = [each for found in await asyncio.gather(*map(write, writers)) for each in found]
        rate = len(times) * len(writers[0]) / (perf_counter() - began)
        return f"{statistics.median(times) * 1e3:7.2f} ms p50, {rate:7.0f} rows/s"


async def _writes(bench: Bench) -> None:
    orgs = [await bench.org() for _ in range(20)]
    cases = {
        "1 row a statement, 1 writer": [[orgs[0]]],
        "20 rows of one organisation, 1 writer": [[orgs[0]] * 20],
        "20 rows of 20 organisations, 1 writer": [orgs],
        "1 row a statement, 4 writers, one organisation": [[orgs[0]]] * 4,
        "1 row a statement, 4 writers, one organisation each": [[org] for org in orgs[:4]],
    }
    for mode in ("DISABLE", "ENABLE", "DISABLE", "ENABLE"):
        await bench.pool.execute(f"ALTER TABLE audit_log {mode} TRIGGER audit_log_chain")
        for name, writers in cases.items():
            said = await bench.statements(writers, 150)
            print(f"{'chained' if mode == 'ENABLE' else 'plain':8} {name:52} {said}")


async def _reads(bench: Bench, rows: int) -> None:
    scope = OrgScope(org_id=await bench.org())
    for _ in range(rows // 1_000):
        await bench.insert([scope.org_id] * 1_000)
    before, began = _memory(), perf_counter()
    portion = await verify_portion(bench.chain, scope)
    verified = portion.report.rows
    while portion.next is not None:
        portion = await verify_portion(bench.chain, scope, portion.next)
        verified += portion.report.rows
    took = perf_counter() - began
    print(
        f"verified {verified} rows where they lie in {took:.1f} s: {verified / took:.0f}/s, +{_memory() - before} MiB"
    )
    reader, size, before, began = ExportReader(), 0, _memory(), perf_counter()
    async for part in export(bench.chain, _CLOCK, scope):
        size += len(part)
        for line in lines([part]):
            reader.take(line)
    report, took = reader.finish(), perf_counter() - began
    assert report.ok, report.faults[:3]
    _said(f"exported and verified {report.rows} rows ({size / 2**20:.0f} MiB)", report.rows, took, before)


def _said(what: str, rows: int, took: float, before: int) -> None:
    print(f"{what} in {took:.1f} s: {rows / took:.0f}/s, {_memory() - before} MiB of memory more")


def _memory() -> int:
    """The most that this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


async def _run(url: str, folder: Path, rows: int) -> None:
    await migrate(url)
    async with await open_pool(url, name="bench", minimum=4, maximum=8) as pool:
        bench = Bench(pool, folder)
        await _writes(bench)
        await _reads(bench, rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit")
    parser.add_argument("--rows", type=int, default=100_000, help="rows that are verified and exported")
    rows = parser.parse_args().rows
    with throw_away() as server:
        asyncio.run(_run(asyncio.run(server.database("audit")), server.folder, rows))


if __name__ == "__main__":
    main()

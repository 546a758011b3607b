"""Every named query is one organisation's, or stands on a short list with its reason; both are held to their role.

Postgres plans each query as the role that runs it: a table or verb that the role has not is refused there.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import Final, NamedTuple

import asyncpg
import pytest

from models.ids import OrgId
from models.tenants import OrgScope
from planvault.clock import TimeOrderedIds
from planvault.storage.pool import Connection, Pool, Role, transaction
from planvault.storage.queries import load
from planvault.storage.tenancy import within

PACKAGES: Final = ("planvault.storage", "retrieval")

# Files whose every query works across organisations, and why it may.
PLATFORM_FILES: Final = {
    "actor_leases.sql": "duties of processes; no organisation's rows",
    "event_pruning.sql": "the caretaker: each row says whose it is, and goes by its own age",
    "inbox.sql": "hosts own shards, and a shard holds sessions of many organisations",
    "leases.sql": "who owns which shard; no organisation's rows",
    "org_deletion.sql": "operators of the platform delete and restore whole organisations",
    "organizations.sql": "operators of the platform see that organisations are there",
    "retention.sql": "the caretaker: rows go by their own age",
}
# Of those files what is one organisation's work all the same.
ONE_TENANTS: Final = {
    ("org_deletion.sql", name) for name in ("sessions_at_work", "purge_sessions", "purge_integrations")
}
# Single ones, and why they may.
PLATFORM: Final = {
    ("audit_chain.sql", "add_anchor"): "the caretaker signs heads",
    ("audit_chain.sql", "add_segment"): "the caretaker: what pruning leaves of old rows",
    ("audit_chain.sql", "due"): "the caretaker: whose head is to be signed, or whose rows are old",
    ("audit_chain.sql", "prune"): "the caretaker: whole segments, by their age",
    ("rewrap.sql", "next"): "the operator: organisation by organisation",
    ("rotation.sql", "claim"): "the rotator: whose key is to be rotated",
    ("blobs.sql", "sweep"): "the caretaker: orphans of all",
    ("blobs.sql", "sweep_fragments"): "the caretaker: what ended runs derived",
    ("bulk_imports.sql", "claim"): "workers serve all organisations, one job after the other",
    ("bulk_imports.sql", "expire"): "uploads and reports go by their age",
    ("catalog_imports.sql", "claim_import"): "workers serve all organisations, one import after the other",
    ("event_files.sql", "advance_heads"): "the append: a batch of sessions of many organisations",
    ("event_files.sql", "extend_segments"): "the append: a batch of sessions of many organisations",
    ("events.sql", "append"): "the append: a batch of sessions of many organisations",
    ("job_dispatch.sql", "claim"): "schedulers serve all organisations; the rest of the transaction is the job's",
    ("job_dispatch.sql", "next_wake"): "when the next job of any organisation is due",
    ("lessons.sql", "ended_runs"): "the learner: whose runs wait to be learned from",
    ("lessons.sql", "votes"): "the learner: whose votes wait",
    ("projects.sql", "due"): "the privacy worker: whose deleted project's week is over",
    ("privacy_staff.sql", "delete_user"): "the privacy worker: people are of no organisation",
    ("privacy.sql", "claim"): "the privacy worker: whose request has waited longest",
    ("privacy_erasure.sql", "await_appends"): "the privacy worker: shards, no organisation's rows",
    ("session_retention.sql", "aged"): "the caretaker: sessions go by their own age",
    ("tool_groups.sql", "stale_integrations"): "whose groups lag behind",
    ("tool_index.sql", "organizations_to_make"): "whose rows an older release made",
}
# Run by the database's owner, at bring-up, before there is anybody to be kept apart.
OWNERS: Final = {("bootstrap.sql", name) for name in ("default_project", "key_works", "has_primary", "organizations")}


class Query(NamedTuple):
    package: str
    file: str
    name: str
    sql: str

    @property
    def place(self) -> tuple[str, str]:
        return self.file, self.name

    @property
    def is_platform(self) -> bool:
        return self.place in PLATFORM or (self.file in PLATFORM_FILES and self.place not in ONE_TENANTS)


def queries() -> list[Query]:
    found = []
    for package in PACKAGES:
        for file in resources.files(package).joinpath("sql").iterdir():
            named = load(package, f"sql/{file.name}")
            found += [Query(package, file.name, name, sql) for name, sql in named.items()]
    return sorted(found)


# What cannot be planned by itself: settings and temporary tables, and what a program completes.
_NOT_PLANNED: Final = re.compile(r"^\s*(?:--[^\n]*\n\s*)*(?:SET|CREATE|TRUNCATE|LOCK)\b|pg_temp\.|\{\w+\}")
_SCOPED: Final = re.compile(
    r"\borg_id\s*(?:=|IN)\s*\(?\s*\$\d|\bINSERT\s+INTO\s+[\w.]+(?:\s+AS\s+\w+)?\s*\([^)]*\borg_id\b"
    r"|\b(?:FROM|UPDATE|INTO)\s+organizations\b"
)


def plannable() -> list[Query]:
    return [query for query in queries() if not _NOT_PLANNED.search(query.sql) and query.place not in OWNERS]


async def _plan(connection: Connection, query: Query) -> None:
    """In the simple protocol, where parameters need no values."""
    await connection.execute(f"EXPLAIN (GENERIC_PLAN) {query.sql.rstrip().rstrip(';')}")


async def _tables(pool: Pool) -> dict[str, bool]:
    """Every table, and whether its rows are organisations'."""
    rows = await pool.fetch(
        "SELECT c.relname, "
        "EXISTS (SELECT FROM pg_policies p WHERE p.tablename = c.relname AND p.policyname = 'tenant') AS walled "
        "FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace"
    )
    return {row["relname"]: row["walled"] for row in rows}


async def test_every_query_is_planned_as_the_role_that_runs_it(pool: Pool) -> None:
    scope, faults = OrgScope(org_id=OrgId(TimeOrderedIds().new())), []
    for query in plannable():
        try:
            if query.is_platform:
                async with transaction(pool) as platform:
                    await platform.execute(f"SET LOCAL ROLE {Role.PLATFORM}")
                    await _plan(platform, query)
            else:
                async with within(pool, scope) as connection:
                    await _plan(connection, query)
        except asyncpg.InsufficientPrivilegeError as refusal:
            faults.append(f"{query.file} {query.name}: {refusal}")
    assert not faults, "\n".join(faults)


async def test_every_query_on_organisations_rows_names_the_organisation(pool: Pool) -> None:
    walled = {name for name, is_walled in (await _tables(pool)).items() if is_walled}
    faults = []
    for query in queries():
        if query.is_platform or query.place in OWNERS:
            continue
        touched = walled & set(re.findall(r"\b(?:FROM|JOIN|INTO|UPDATE|USING)\s+(?:ONLY\s+)?(\w+)", query.sql))
        if touched and not _SCOPED.search(query.sql):
            faults.append(f"{query.file} {query.name} reads or writes {', '.join(sorted(touched))} without a scope")
    assert not faults, "\n".join(faults)


def test_the_list_of_platform_queries_names_queries_that_there_are() -> None:
    there = {query.place for query in queries()}
    files = {query.file for query in queries()}
    assert set(PLATFORM) | OWNERS | ONE_TENANTS <= there
    assert set(PLATFORM_FILES) <= files


# Tables without row-level security, and why they need none.
OF_NO_ORGANISATION: Final = {
    "actor_leases": "duties of processes",
    "cluster_drains": "orders to processes",
    "event_leftovers": "names of files; the app role may not read it",
    "event_store": "one row: where events are",
    "organization_deletions": "what is left of an organisation that is gone; the app role may not read it",
    "rate_buckets": "counts under digests",
    "hosts": "heartbeats of processes",
    "schema_migrations": "which migrations were applied",
    "shard_owner": "which host owns which shard",
}


async def test_every_table_is_behind_the_wall_or_on_the_list_of_those_that_need_none(pool: Pool) -> None:
    rows = await pool.fetch(
        "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS is_forced FROM pg_class c "
        "WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace"
    )
    walls = await _tables(pool)
    open_ones = {row["relname"] for row in rows if not row["is_forced"] or not walls[row["relname"]]}
    assert open_ones == set(OF_NO_ORGANISATION)


async def test_every_policy_of_the_app_role_asks_for_the_scope(pool: Pool) -> None:
    """A permissive policy more would open what the others close."""
    rows = await pool.fetch(
        "SELECT tablename, policyname, qual, with_check FROM pg_policies "
        "WHERE roles && ARRAY['planvault_app', 'public']::name[]"
    )
    assert rows
    for row in rows:
        assert row["policyname"] == "tenant", row
        for said in (row["qual"], row["with_check"] or row["qual"]):
            assert "tenant_scope()" in said or "whole" in said, row


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_owns_nothing_and_may_pass_nothing_by(pool: Pool, role: Role) -> None:
    row = await pool.fetchrow(
        "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolcanlogin OR rolreplication AS loose, "
        "EXISTS (SELECT FROM pg_class WHERE relowner = r.oid) AS owns, "
        "has_schema_privilege(r.oid, 'public', 'CREATE') AS defines FROM pg_roles r WHERE rolname = $1",
        role.value,
    )
    assert row is not None
    assert (row["loose"], row["owns"], row["defines"]) == (False, False, False)


async def test_functions_with_the_owners_rights_are_closed_to_the_public_and_find_names_where_they_should(
    pool: Pool,
) -> None:
    rows = await pool.fetch(
        "SELECT p.oid::regprocedure::text AS name, p.proconfig, "
        "EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a "
        "WHERE a.grantee = 0) AS open FROM pg_proc p WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace"
    )
    assert rows
    for row in rows:
        assert "search_path=pg_catalog, public, pg_temp" in row["proconfig"], row
        assert not row["open"], row

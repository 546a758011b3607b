"""An append asks for the tables that it writes to, and for no other."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from planvault.storage.append_parts import PARTS, statement
from planvault.storage.pool import Pool, Role, transaction
from planvault.storage.queries import load

WHOLE = load("planvault.storage", "sql/events.sql")["append"]
ALL = [frozenset(some) for count in range(len(PARTS) + 1) for some in combinations(sorted(PARTS), count)]
TABLES = {
    "written": "events",
    "applied": "commands",
    "summarised": "runs",
    "rewoken": "runs",
    "referenced": "blobs",
    "audited": "audit_log",
}


def written_to(sql: str) -> set[str]:
    return set(re.findall(r"\b(?:INSERT INTO|UPDATE) (\w+)", sql)) - {"SET"}


def test_with_every_part_it_is_the_statement_of_the_file() -> None:
    made = statement(PARTS)
    assert made.sql == WHOLE
    assert made.takes == tuple(range(len(set(re.findall(r"\$\d+", WHOLE)))))


@pytest.mark.parametrize("parts", ALL, ids=lambda parts: "+".join(sorted(parts)) or "nothing")
def test_it_writes_to_the_tables_of_its_parts_alone_and_takes_their_arguments(parts: frozenset[str]) -> None:
    made = statement(parts)
    assert written_to(made.sql) == {TABLES[part] for part in parts}
    assert set(re.findall(r"\$\d+", made.sql)) == {f"${place}" for place in range(1, len(made.takes) + 1)}
    of_whole = WHOLE.splitlines()
    arguments = [f"<{place}>" for place in range(len(statement(PARTS).takes))]
    # With its arguments written in, every line of it is one of the whole statement's.
    said = re.sub(r"\$(\d+)", lambda match: made.of(arguments)[int(match[1]) - 1], made.sql)
    known = {re.sub(r"\$(\d+)", lambda match: arguments[int(match[1]) - 1], line).rstrip(",") for line in of_whole}
    assert {line.rstrip(",") for line in said.splitlines()} <= known


def test_a_part_that_there_is_not_is_no_part() -> None:
    with pytest.raises(ValueError, match="writen"):
        statement(frozenset({"writen"}))


async def test_every_one_of_them_is_planned_as_the_hosts_role(pool: Pool) -> None:
    async with transaction(pool) as connection:
        await connection.execute(f"SET LOCAL ROLE {Role.PLATFORM}")
        for parts in ALL:
            await connection.execute(f"EXPLAIN (GENERIC_PLAN) {statement(parts).sql}")

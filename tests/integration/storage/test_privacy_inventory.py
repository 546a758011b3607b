"""No table and no column is forgotten: the inventory of what is held of people is the schema, and the docs show it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from planvault.privacy.inventory import HOLDINGS, as_markdown
from planvault.storage.pool import Pool
from planvault.storage.privacy_rows import Section
from planvault.storage.sealed import COLUMNS

pytestmark = pytest.mark.postgres
DOCS = Path(__file__).resolve().parents[3] / "docs" / "privacy.md"


async def test_the_inventory_names_every_table_and_every_column(pool: Pool) -> None:
    rows = await pool.fetch(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
    )
    schema: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        schema[row["table_name"]].add(row["column_name"])
    told = {name: {*each.personal, *each.technical} for name, each in HOLDINGS.items()}
    assert told == schema, "add the table or column to planvault/privacy/inventory.py, and say how it is erased"


def test_whatever_is_sealed_counts_as_something_of_a_person() -> None:
    for column in COLUMNS:
        if column.name == "audit_signing_keys.seed":
            continue  # a key of the organisation's, random
        assert column.column in HOLDINGS[column.table].personal, column.name


def test_what_holds_something_of_a_person_says_how_it_goes() -> None:
    for name, each in HOLDINGS.items():
        assert not each.personal or (each.what and each.goes and each.exported), name


async def test_whatever_refers_to_a_session_goes_with_it_or_is_erased_by_itself(pool: Pool) -> None:
    """A table with a session's id and no foreign key to it needs a statement of its own."""
    rows = await pool.fetch(
        "SELECT c.table_name FROM information_schema.columns c WHERE c.table_schema = 'public' "
        "AND c.column_name = 'session_id' AND NOT EXISTS (SELECT FROM pg_constraint f "
        "WHERE f.contype = 'f' AND f.confdeltype = 'c' AND f.confrelid = 'sessions'::regclass "
        "AND f.conrelid = c.table_name::regclass)"
    )
    known = {
        "audit_log": "details are blanked",
        "erased_sessions": "the fences themselves",
        "event_leftovers": "files that are to be removed",
        "events": "session_removal.sql",
        "scheduled_jobs": "session_removal.sql",
        "scheduled_occurrences": "go with their job, and by their age",
    }
    assert {row["table_name"] for row in rows} == set(known)


def test_the_docs_show_the_inventory() -> None:
    text = DOCS.read_text(encoding="utf-8")
    shown = text.split("<!-- generated -->\n")[1].split("<!-- /generated -->")[0]
    assert shown == as_markdown()


async def test_the_sections_of_exports_are_tables_that_there_are(pool: Pool) -> None:
    from planvault.storage import privacy_export as export

    sections = [*export._SESSION_PARTS, *export._PERSON_PARTS, *export._PROJECT_PARTS, *export._ORGANIZATION_PARTS]
    values: dict[str, object] = {"organization": None, "project": None, "session": None, "people": []}
    for section in sections:
        assert isinstance(section, Section)
        assert section.table in HOLDINGS
        await pool.fetch(section.query(), None, values[section.by], 1, None)  # Postgres knows every name in it

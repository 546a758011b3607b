"""Opens everything that any key which is left opens, and looks in it for what should be gone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from models.ids import OrgId
from planvault.clock import TimeOrderedIds
from planvault.crypto.assembly import key_providers
from planvault.errors import DecryptionFailed
from planvault.ports import OrgCipher
from planvault.redact import forms_of
from planvault.settings import Settings
from planvault.storage.files.frame import decode, places
from planvault.storage.history import event_seal
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Pool
from planvault.storage.sealed import COLUMNS


@dataclass
class Residue:
    """Where something was found, and what could not be opened. `opened`: values that were, as a check on the search."""

    found: list[str] = field(default_factory=list)
    unopened: list[str] = field(default_factory=list)
    opened: int = 0


class Search:
    """`texts`: whatever must not be there, looked for in every spelling; `database`: sees every row."""

    def __init__(self, database: Pool, settings: Settings, org_id: OrgId, texts: Iterable[str]) -> None:
        self._database = database
        self._settings = settings
        self._org_id = org_id
        forms = sorted({form for text in texts for form in forms_of(text)} | set(texts))
        self._pattern = re.compile("|".join(map(re.escape, forms)), re.IGNORECASE)
        self.residue = Residue()

    async def everywhere(self) -> Residue:
        ciphers = await self._ciphers()
        await self._plain()
        for column in COLUMNS:
            after: list[Any] = []
            while rows := await self._database.fetch(column.page, self._org_id, None, after, 3_200):
                for row in rows:
                    if row["sealed"]:
                        where = f"{column.name} {[str(row[name]) for name in column.key]}"
                        self._look(where, self._open(ciphers, row["sealed"], list(column.places(row)), where))
                after = [str(row[name]) if isinstance(row[name], UUID) else row[name] for name in column.key]
        if self._settings.events_folder is not None:
            await asyncio.to_thread(self._files, self._settings.events_folder, ciphers)
        return self.residue

    async def _ciphers(self) -> list[OrgCipher]:
        """Of every key that opens, whoever's; keys are read anew."""
        keyring = PostgresKeyring(self._database, key_providers(self._settings), TimeOrderedIds())
        people = await self._database.fetch(
            "SELECT DISTINCT subject FROM data_keys WHERE org_id = $1 AND purpose = 'user' AND status <> 'destroyed'",
            self._org_id,
        )
        return [
            await keyring.cipher(self._org_id),
            *[await keyring.subject_cipher(self._org_id, row["subject"]) for row in people],
        ]

    async def _plain(self) -> None:
        """Every row of every table, as text; bytes as they are. Not those that are another organisation's."""
        tables = await self._database.fetch(
            "SELECT t.tablename, EXISTS (SELECT FROM information_schema.columns c WHERE c.table_name = t.tablename "
            "AND c.column_name = 'org_id') AS has_org FROM pg_tables t WHERE t.schemaname = 'public'"
        )
        for table, has_org in tables:
            query = f"SELECT t::text AS text, t.* FROM {table} t WHERE $1::uuid IS NOT NULL"
            for row in await self._database.fetch(query + (" AND org_id = $1" if has_org else ""), self._org_id):
                self._look(table, row["text"].encode())
                for value in row.values():
                    if isinstance(value, bytes):
                        self._look(table, value)

    def _open(self, ciphers: list[OrgCipher], sealed: bytes, seals: list[Any], where: str) -> bytes:
        for cipher in ciphers:
            for place in seals:
                try:
                    opened = cipher.open(sealed, place)
                except DecryptionFailed:
                    continue
                self.residue.opened += 1
                return opened
        self.residue.unopened.append(where)
        return b""

    def _files(self, root: Path, ciphers: list[OrgCipher]) -> None:
        for file in root.rglob("*.events"):
            data = file.read_bytes()
            self._look(str(file), data)
            session = UUID(file.parent.name)
            for place in places(data):
                frame = decode(data, place.offset)
                seal = event_seal(session, frame.seq)  # type: ignore[arg-type]
                self._look(str(file), self._open(ciphers, frame.payload, [seal], str(file)))

    def _look(self, where: str, content: bytes) -> None:
        text = content.decode("utf-8", "replace")
        if (match := self._pattern.search(text)) is not None:
            self.residue.found.append(f"{where}: {match.group()!r} in {text[:200]!r}")


async def nearest(database: Pool, vector: list[float]) -> dict[str, float]:
    """The highest cosine of any vector in the database to this one, by column."""
    columns = await database.fetch(
        "SELECT c.relname AS t, a.attname AS c FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "JOIN pg_type y ON y.oid = a.atttypid WHERE y.typname = 'vector' AND c.relkind = 'r' AND NOT a.attisdropped"
    )
    assert columns
    found: dict[str, float] = {}
    for row in columns:
        query = f"SELECT max(1 - ({row['c']} <=> $1)) FROM {row['t']}"  # names of the schema's own
        found[f"{row['t']}.{row['c']}"] = await database.fetchval(query, vector) or 0.0
    return found


async def everything_of(database: Pool, session_id: UUID) -> list[str]:
    """Tables that still name the session anywhere in a row."""
    names: list[str] = []
    for row in await database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        try:
            count = await database.fetchval(
                f"SELECT count(*) FROM {row['tablename']} t WHERE t::text LIKE '%' || $1 || '%'", str(session_id)
            )
        except asyncpg.UndefinedTableError:
            continue
        if count:
            names.append(row["tablename"])
    return sorted(names)

"""Rows of any table as JSON for people: ids and times as text, what is sealed opened, credentials left out."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

import numpy as np
import orjson

from models.base import JsonObject, JsonValue
from models.ids import OrgId, ProjectId, SessionId
from models.tenants import SessionScope
from planvault.audit.record import unpack_details
from planvault.errors import DecryptionFailed
from planvault.ports import Keyring, OrgCipher
from planvault.storage.pool import Connection
from planvault.storage.queries import load
from planvault.storage.sealed import COLUMNS, Owner, SealedColumn

_SQL = load("planvault.storage", "sql/privacy_export.sql")
_ROWS = 200

By: TypeAlias = Literal["organization", "project", "session", "people"]

_SEALED: Mapping[str, tuple[SealedColumn, ...]] = {
    column.table: tuple(each for each in COLUMNS if each.table == column.table) for column in COLUMNS
}
_TEXT = frozenset({"scenarios.instruction", "scenarios.created_by", "feedback.comment"})
_CREDENTIALS = frozenset(
    {"secrets.value", "data_keys.wrapped", "project_integrations.auth_headers", "audit_signing_keys.seed"}
)
"""Never exported: whoever may read personal data is not thereby given what opens other systems."""


@dataclass(frozen=True, slots=True)
class Section:
    """One table's part of an export. `key`: its columns and their types, in whose order pages go. `column`: by which a
    row belongs to the target; of an organisation it is the column with its id."""

    table: str
    by: By
    column: str
    key: tuple[tuple[str, str], ...] = (("id", "uuid"),)
    without: frozenset[str] = frozenset()

    def query(self) -> str:
        names = ", ".join(f"t.{name}" for name, _ in self.key)
        after = ", ".join(f"($4::jsonb ->> {place})::{kind}" for place, (_, kind) in enumerate(self.key))
        values = {
            "{table}": self.table,
            "{org}": self.column,
            "{column}": self.column,
            "{after}": f"({names}) > ({after})",
            "{key}": names,
        }
        text = _SQL[f"rows_of_{self.by}"]
        for name, value in values.items():
            text = text.replace(name, value)
        return text


class Rows:
    """Reads sections of one organisation."""

    def __init__(self, keyring: Keyring, org_id: OrgId) -> None:
        self._keyring = keyring
        self._org_id = org_id

    async def of(
        self, connection: Connection, section: Section, value: object, cipher: OrgCipher | None = None
    ) -> AsyncIterator[JsonObject]:
        """`cipher`: of the session whose rows they are."""
        after: list[JsonValue] | None = None
        query = section.query()
        while True:
            rows = await connection.fetch(query, self._org_id, value, _ROWS, after)
            for row in rows:
                yield await self.shown(section.table, dict(row), cipher, section.without)
            if len(rows) < _ROWS:
                return
            after = [_plain(rows[-1][name]) for name, _ in section.key]

    async def shown(
        self, table: str, row: Mapping[str, Any], cipher: OrgCipher | None = None, without: frozenset[str] = frozenset()
    ) -> JsonObject:
        sealed = {column.column: column for column in _SEALED.get(table, ())}
        found: dict[str, JsonValue] = {}
        for name, value in row.items():
            if name in without or f"{table}.{name}" in _CREDENTIALS:
                continue
            if name in sealed and value is not None:
                found[name] = await self._opened(sealed[name], row, value, cipher)
            else:
                found[name] = _plain(value)
        return found

    async def _opened(
        self, column: SealedColumn, row: Mapping[str, Any], sealed: bytes, cipher: OrgCipher | None
    ) -> JsonValue:
        if not sealed:
            return None  # erased before
        if column.owner is Owner.SUBJECT:
            cipher = await self._keyring.subject_cipher(self._org_id, row.get("external_user_hmac"))
        elif column.owner is Owner.ORGANISATION:
            cipher = await self._keyring.cipher(self._org_id)
        elif cipher is None:
            cipher = await self._of_session(row)
        whole = {"session_id": row.get("id"), **row} if column.table == "sessions" else row
        for place in column.places(whole):
            try:
                return _read(column.name, cipher.open(sealed, place))
            except DecryptionFailed:
                continue  # the row itself does not say which of its places it is
        raise DecryptionFailed(f"A value of {column.name} does not open: the export would not be complete.")

    async def _of_session(self, row: Mapping[str, Any]) -> OrgCipher:
        """Of a row that is not read with its session's others: a vote on somebody else's run, a project's secret."""
        if row.get("session_id") is None:
            return await self._keyring.cipher(self._org_id)
        project, session = ProjectId(row["project_id"]), SessionId(row["session_id"])
        return await self._keyring.session_cipher(
            SessionScope(org_id=self._org_id, project_id=project, session_id=session)
        )


def _read(name: str, opened: bytes) -> JsonValue:
    if name == "audit_log.details":
        opened = unpack_details(opened).text.encode()
    value: JsonValue = opened.decode() if name in _TEXT else orjson.loads(opened)
    return value


def _plain(value: Any) -> JsonValue:
    match value:
        case UUID():
            return str(value)
        case datetime():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case np.ndarray():
            numbers: JsonValue = value.tolist()
            return numbers
        case list() | tuple():
            return [_plain(item) for item in value]
        case dict():
            return {str(name): _plain(item) for name, item in value.items()}
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)

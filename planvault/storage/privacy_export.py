"""An export: everything that is held about a person, a project or an organisation, as a ZIP of JSON (docs/privacy.md).

It is read while the platform runs. Each session is read in one snapshot of the database, so what is told of one fits
together; different sessions are read one after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from models.base import JsonObject, JsonValue
from models.ids import BlobId, ProjectId, SessionId
from models.privacy import Stage, Target
from models.tenants import SessionScope
from planvault.ports import Clock, Keyring
from planvault.privacy.archive import Archive
from planvault.privacy.mentions import Mentions
from planvault.storage.blobs import Blobs
from planvault.storage.files.folder import EventFolder
from planvault.storage.pool import Connection, Pool
from planvault.storage.privacy import SQL, Detail
from planvault.storage.privacy_claims import HOLD, Claim, ClaimLost
from planvault.storage.privacy_events import events_of
from planvault.storage.privacy_file import FileWriter
from planvault.storage.privacy_rows import Rows, Section
from planvault.storage.queries import load
from planvault.storage.tenancy import within

_SQL = load("planvault.storage", "sql/privacy_export.sql")

FORMAT = "planvault-export/1"
KEPT = timedelta(days=7)
_SESSIONS = 50
_AUDIT_ROWS = 500
_NO_HASHES = frozenset({"key_sha256", "retiring_sha256", "token_sha256"})

_SESSION_PARTS = (
    Section("runs", "session", "session_id"),
    Section("commands", "session", "session_id"),
    Section("signals", "session", "session_id", (("token_id", "uuid"),), frozenset({"payload_mac"})),
    Section("feedback", "session", "session_id"),
    Section("secrets", "session", "session_id"),
    Section("scenario_samples", "session", "session_id"),
    Section("audit_log", "session", "session_id", (("seq", "bigint"),)),
)
_PERSON_PARTS = (
    Section("scheduled_jobs", "people", "external_user_hmac"),
    Section("scenario_users", "people", "subject", (("scenario_id", "uuid"), ("subject", "bytea"))),
    Section("data_keys", "people", "subject"),
)
_PROJECT_PARTS = (
    Section("projects", "project", "id"),
    Section("api_keys", "project", "project_id", without=_NO_HASHES),
    Section("project_integrations", "project", "project_id", (("integration_id", "uuid"),)),
    Section("secrets", "project", "project_id"),
    Section("scheduled_jobs", "project", "project_id"),
    Section("scheduled_occurrences", "project", "project_id", (("job_id", "uuid"), ("due_at", "timestamptz"))),
    Section("scenarios", "project", "project_id"),
    Section("tool_usage", "project", "project_id", (("tool_id", "uuid"),)),
    Section("audit_log", "project", "project_id", (("seq", "bigint"),)),
)
_ORGANIZATION_PARTS = (
    Section("organizations", "organization", "id"),
    Section("projects", "organization", "org_id"),
    Section("invitations", "organization", "org_id", without=_NO_HASHES),
    Section("service_tokens", "organization", "org_id", without=_NO_HASHES),
    Section("api_keys", "organization", "org_id", without=_NO_HASHES),
    Section("secrets", "organization", "org_id"),
    Section("integrations", "organization", "org_id"),
    Section("project_integrations", "organization", "org_id", (("project_id", "uuid"), ("integration_id", "uuid"))),
    Section("tools", "organization", "org_id", (("id", "uuid"), ("version", "integer"))),
    Section("imports", "organization", "org_id"),
    Section("bulk_imports", "organization", "org_id"),
    Section("scheduled_jobs", "organization", "org_id"),
    Section("scheduled_occurrences", "organization", "org_id", (("job_id", "uuid"), ("due_at", "timestamptz"))),
    Section("scenarios", "organization", "org_id"),
    Section("scenario_users", "organization", "org_id", (("scenario_id", "uuid"), ("subject", "bytea"))),
    Section("tool_usage", "organization", "org_id", (("project_id", "uuid"), ("tool_id", "uuid"))),
    Section("audit_log", "organization", "org_id", (("seq", "bigint"),)),
)


@dataclass(slots=True)
class _Writing:
    """One export under way."""

    claim: Claim
    rows: Rows
    archive: Archive
    file: FileWriter
    counts: Counter[str]

    async def array(self, name: str, table: str, items: AsyncIterator[JsonObject]) -> None:
        with self.archive.array(name) as add:
            async for item in items:
                add(item)
                self.counts[table] += 1
                await self.file.flush()


class Exporter:
    """`folder` None: session events are rows."""

    def __init__(
        self,
        pool: Pool,
        keyring: Keyring,
        blobs: Blobs,
        folder: EventFolder | None,
        clock: Clock,
        *,
        keep: timedelta = KEPT,
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._blobs = blobs
        self._folder = folder
        self._clock = clock
        self._keep = keep

    async def write(self, claim: Claim, detail: Detail) -> dict[str, int]:
        """The whole file, from its beginning: what an earlier attempt has left goes first. How many rows, by table.

        Raises ClaimLost.
        """
        writing = await self._begin(claim)
        await self._sessions(writing)
        match claim.request.target:
            case Target.EXTERNAL_USER:
                await self._parts(writing, _PERSON_PARTS, list(claim.request.subjects))
                votes = Section("feedback", "people", "voter")
                await self._part(writing, votes, list(claim.request.voters), "votes.json")
                await self._naming(writing, detail)
            case Target.PROJECT:
                await self._parts(writing, _PROJECT_PARTS, claim.request.project_id)
            case Target.ORGANIZATION:
                await self._members(writing)
                await self._parts(writing, _ORGANIZATION_PARTS, None)
        writing.archive.document("manifest.json", self._manifest(writing, detail))
        writing.archive.close()
        await writing.file.finish(self._keep)
        return dict(writing.counts)

    async def _begin(self, claim: Claim) -> _Writing:
        org_id = claim.request.org_id
        async with within(self._pool, claim.scope) as connection:
            person: bytes | None = await connection.fetchval(SQL["user_has_key"], org_id, list(claim.request.subjects))
            place = (*claim.place, claim.request.attempts)
            if await connection.fetchval(SQL["restart_file"], *place, person) is None:
                raise ClaimLost
            await claim.enter(connection, Stage.EXPORTING)
        # With the person's own key where there is one: an erasure of the person is the end of this file too.
        cipher = await self._keyring.subject_cipher(org_id, person)
        archive = Archive(self._clock.now())
        file = FileWriter(self._pool, claim, cipher, archive)
        return _Writing(claim, Rows(self._keyring, org_id), archive, file, Counter())

    async def _sessions(self, writing: _Writing) -> None:
        request, after = writing.claim.request, UUID(int=0)
        while True:
            async with within(self._pool, writing.claim.scope) as connection:
                people = list(request.subjects)
                place = (request.org_id, request.project_id, people, after, _SESSIONS)
                found = await connection.fetch(_SQL["sessions"], *place)
                if await connection.fetchval(SQL["keep"], *writing.claim.place, request.attempts, HOLD) is None:
                    raise ClaimLost
            for row in found:
                await self._session(writing, row["id"], row["project_id"])
            if len(found) < _SESSIONS:
                return
            after = found[-1]["id"]

    async def _session(self, writing: _Writing, session_id: UUID, project_id: UUID) -> None:
        org_id = writing.claim.request.org_id
        scope = SessionScope(org_id=org_id, project_id=ProjectId(project_id), session_id=SessionId(session_id))
        cipher = await self._keyring.session_cipher(scope)
        folder = f"sessions/{session_id}"
        async with within(self._pool, scope, snapshot=True) as connection:
            here = Section("sessions", "session", "id")
            await writing.array(
                f"{folder}/session.json", "sessions", writing.rows.of(connection, here, session_id, cipher)
            )
            events = events_of(connection, self._folder, scope, cipher)
            await writing.array(f"{folder}/events.json", "events", events)
            for section in _SESSION_PARTS:
                name = f"{folder}/{section.table}.json"
                await writing.array(name, section.table, writing.rows.of(connection, section, session_id, cipher))
            blobs = Section("blobs", "session", "session_id")
            listed = [blob async for blob in writing.rows.of(connection, blobs, session_id, cipher)]
        await self._blob_files(writing, scope, folder, listed)

    async def _blob_files(self, writing: _Writing, scope: SessionScope, folder: str, blobs: list[JsonObject]) -> None:
        """Large results as the service sent them; one that was never finished has no end, and is left out."""
        whole = [blob for blob in blobs if blob["size"] is not None]
        with writing.archive.array(f"{folder}/blobs.json") as add:
            for blob in whole:
                add(blob)
        for blob in whole:
            blob_id = BlobId(UUID(str(blob["id"])))
            with writing.archive.binary(f"{folder}/blobs/{blob_id}.bin") as write:
                async for part in self._blobs.parts(scope, blob_id, int(str(blob["chunks"]))):
                    write(part)
                    await writing.file.flush()
            writing.counts["blobs"] += 1

    async def _parts(self, writing: _Writing, sections: tuple[Section, ...], value: object) -> None:
        for section in sections:
            await self._part(writing, section, value, f"{section.table}.json")

    async def _part(self, writing: _Writing, section: Section, value: object, name: str) -> None:
        async with within(self._pool, writing.claim.scope, snapshot=True) as connection:
            await writing.array(name, section.table, writing.rows.of(connection, section, value))

    async def _members(self, writing: _Writing) -> None:
        async with within(self._pool, writing.claim.scope) as connection:
            found = await connection.fetch(_SQL["members"], writing.claim.request.org_id)
        with writing.archive.array("members.json") as add:
            for row in found:
                add(await writing.rows.shown("members", dict(row)))
                writing.counts["members"] += 1

    async def _naming(self, writing: _Writing, detail: Detail) -> None:
        """Rows of the audit log that belong to no session and name the person."""
        if detail.external_user_id is None:
            return
        mentions = Mentions(detail.external_user_id)
        async with within(self._pool, writing.claim.scope, snapshot=True) as connection:
            await writing.array("audit_log.json", "audit_log", self._audit_rows(connection, writing, mentions))

    async def _audit_rows(
        self, connection: Connection, writing: _Writing, mentions: Mentions
    ) -> AsyncIterator[JsonObject]:
        seq = 0
        while True:
            place = (writing.claim.request.org_id, seq, _AUDIT_ROWS)
            rows: list[Any] = await connection.fetch(_SQL["loose_audit_rows"], *place)
            for row in rows:
                shown = await writing.rows.shown("audit_log", dict(row))
                if mentions.in_json(shown["details"]):
                    yield shown
            if len(rows) < _AUDIT_ROWS:
                return
            seq = rows[-1]["seq"]

    def _manifest(self, writing: _Writing, detail: Detail) -> JsonObject:
        request = writing.claim.request
        counts: dict[str, JsonValue] = dict(sorted(writing.counts.items()))
        return {
            "format": FORMAT,
            "target": request.target.value,
            "organizationId": str(request.org_id),
            "projectId": None if request.project_id is None else str(request.project_id),
            "externalUserId": detail.external_user_id,
            "requestId": str(request.id),
            "requestedAt": request.created_at.isoformat(),
            "writtenAt": self._clock.now().isoformat(),
            "consistency": "Each session is as it was at one moment; different sessions were read one after the other.",
            "rows": counts,
            "files": writing.archive.files,
        }

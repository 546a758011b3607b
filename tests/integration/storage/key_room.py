"""An organisation with a value in every sealed column, and what reads them all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from models.ids import OrgId, ProjectId, SessionId
from models.policies import SessionSettings
from models.tenants import OrgScope, ProjectScope, SessionScope
from planvault.clock import TimeOrderedIds
from planvault.crypto.chunks import chunk_seal
from planvault.crypto.envelope import read_header
from planvault.crypto.kek import LocalKeyWrapper
from planvault.crypto.keyset import Keyset
from planvault.crypto.providers import KeyProviders
from planvault.ports import Keyring, OrgCipher, Seal
from planvault.storage.audit import sealed_details
from planvault.storage.history import event_seal
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Pool
from planvault.storage.reencryption import Position
from planvault.storage.sealed import COLUMNS, Owner, export_chunk_seal
from planvault.storage.secrets import PostgresSecrets
from planvault.storage.sessions import SessionDraft, Sessions
from planvault.storage.tenancy import within
from planvault.storage.tenants import Tenants

IDS = TimeOrderedIds()
WRAPPER = LocalKeyWrapper(Keyset("kek-1", {"kek-1": bytes(range(32))}))
PROVIDERS = KeyProviders.only(WRAPPER)
AT = datetime(2026, 11, 20, tzinfo=UTC)


def keyring(pool: Pool) -> PostgresKeyring:
    return PostgresKeyring(pool, PROVIDERS, IDS)


@dataclass
class KeyRoom:
    """`sessions`: the first is nobody's, the second belongs to the external user `ada`."""

    pool: Pool
    ring: PostgresKeyring
    org: OrgId
    project: ProjectScope
    sessions: list[SessionScope] = field(default_factory=list)
    ada: bytes = b""

    @property
    def scope(self) -> OrgScope:
        return OrgScope(org_id=self.org)

    @classmethod
    async def open(cls, pool: Pool, name: str = "Acme") -> KeyRoom:
        tenants, ring = Tenants(pool, IDS), keyring(pool)
        org = await tenants.create_organization(name)
        project = await tenants.create_project(OrgScope(org_id=org.id), "Default")
        scope = ProjectScope(org_id=org.id, project_id=ProjectId(project.id))
        room = cls(pool, ring, org.id, scope, ada=await ring.pseudonym(org.id, "ada"))
        room.sessions = [await room.session(), await room.session("ada")]
        return room

    async def session(self, user: str | None = None) -> SessionScope:
        sessions = Sessions(self.pool, self.ring, self.ring.pseudonym, 4)
        session_id = SessionId(IDS.new())
        draft = SessionDraft({"text": "context"}, {}, (), user, SessionSettings())
        async with within(self.pool, self.project) as connection:
            await sessions.insert(connection, self.project, session_id, draft)
        return SessionScope(org_id=self.org, project_id=self.project.project_id, session_id=session_id)

    async def fill(self, events: int = 3) -> None:
        """A value in every sealed column, of both sessions where it is a session's."""
        for session in self.sessions:
            await self.events(session, events)
            await self._of_session(session)
        await self._of_organisation()
        await self._of_catalog()

    async def events(self, session: SessionScope, count: int, start: int = 1) -> None:
        cipher = await self.ring.session_cipher(session)
        rows = [
            (session.session_id, seq, self.org, cipher.seal(b"event", event_seal(session.session_id, seq)))
            for seq in range(start, start + count)
        ]
        async with within(self.pool, self.scope) as connection:
            await connection.executemany(
                "INSERT INTO events (session_id, seq, org_id, shard, epoch, type, visibility, schema_version, at,"
                " payload) VALUES ($1, $2, $3, 0, 1, 'prompt', 'history', 1, now(), $4)",
                rows,
            )

    async def _of_session(self, session: SessionScope) -> None:
        cipher = await self.ring.session_cipher(session)
        s, place = session.session_id, (self.org, self.project.project_id, session.session_id)
        command, run, blob, vote, token = (IDS.new() for _ in range(5))
        under = f"session:{s}"
        async with within(self.pool, self.scope) as connection:
            await connection.execute(
                "INSERT INTO commands (id, org_id, project_id, session_id, shard, kind, payload)"
                " VALUES ($4, $1, $2, $3, 0, 'message', $5)",
                *place, command, cipher.seal(b"command", Seal(under, "commands", str(command), "payload")),
            )  # fmt: skip
            await connection.execute(
                "INSERT INTO runs (id, org_id, project_id, session_id, shard, status, is_open, detail)"
                " VALUES ($4, $1, $2, $3, 0, 'completed', false, $5)",
                *place, run, cipher.seal(b"run", Seal(under, "runs", str(run), "detail")),
            )  # fmt: skip
            await connection.execute(
                "INSERT INTO blobs (id, org_id, project_id, session_id, run_id, purpose, size, chunks, detail)"
                " VALUES ($4, $1, $2, $3, $5, 'result', 5, 1, $6)",
                *place, blob, run, cipher.seal(b"blob", Seal(under, "blobs", str(blob), "detail")),
            )  # fmt: skip
            chunk = cipher.seal(b"chunk", chunk_seal(under, str(blob), 0, last=True))
            await connection.execute(
                "INSERT INTO blob_chunks (blob_id, position, payload) VALUES ($1, 0, $2)", blob, chunk
            )
            comment = cipher.seal(b"vote", Seal(under, "feedback", f"{run}:{b'v'.hex()}", "comment"))
            await connection.execute(
                "INSERT INTO feedback (id, org_id, project_id, session_id, run_id, voter, value, comment)"
                " VALUES ($4, $1, $2, $3, $5, 'v', 'like', $6)",
                *place, vote, run, comment,
            )  # fmt: skip
            await connection.execute(
                "INSERT INTO signals (token_id, org_id, project_id, session_id, run_id, name)"
                " VALUES ($4, $1, $2, $3, $5, $6)",
                *place, token, run, cipher.seal(b'"signal"', Seal("table:signals", "signals", str(token), "name")),
            )  # fmt: skip
        await PostgresSecrets(self.pool, self.ring, IDS).put(session, {"TOKEN": "secret"})

    async def _of_organisation(self) -> None:
        cipher = await self.ring.cipher(self.org)
        user = await self.ring.subject_cipher(self.org, self.ada)
        project = self.project.project_id
        audit, job = IDS.new(), IDS.new()
        async with within(self.pool, self.scope) as connection:
            await connection.execute(
                "INSERT INTO audit_log (id, org_id, at, action, details, details_digest)"
                " VALUES ($1, $2, $3, 'SESSION_CLOSED', $4, $5)",
                audit, self.org, AT, *sealed_details(cipher, audit, b"{}"),
            )  # fmt: skip
            await connection.execute(
                "INSERT INTO idempotency (project_id, route, key, org_id, body_sha256, status, answer)"
                " VALUES ($1, 'POST /x', 'k', $2, '', 200, $3)",
                project, self.org,
                cipher.seal(b"{}", Seal("table:idempotency", "idempotency", f"{project}:POST /x:k", "answer")),
            )  # fmt: skip
            await connection.execute(
                "INSERT INTO scheduled_jobs (id, org_id, project_id, target, payload, external_user_hmac, run_at,"
                " wake_at) VALUES ($1, $2, $3, 'new_session_prompt', $4, $5, $6, $6)",
                job, self.org, project,
                user.seal(b"job", Seal("table:scheduled_jobs", "scheduled_jobs", str(job), "payload")), self.ada, AT,
            )  # fmt: skip
            seed = cipher.seal(bytes(32), Seal("table:audit_signing_keys", "audit_signing_keys", str(audit), "seed"))
            await connection.execute(
                "INSERT INTO audit_signing_keys (id, org_id, version, public_key, seed, at)"
                " VALUES ($1, $2, 1, '', $3, $4)",
                audit, self.org, seed, AT,
            )  # fmt: skip
            detail = cipher.seal(b"{}", Seal("table:privacy_requests", "privacy_requests", str(audit), "detail"))
            await connection.execute(
                "INSERT INTO privacy_requests (id, org_id, kind, target, detail)"
                " VALUES ($1, $2, 'export', 'organization', $3)",
                audit, self.org, detail,
            )  # fmt: skip
            part = user.seal(b"part", export_chunk_seal(audit, 0, last=True))
            await connection.execute(
                "UPDATE privacy_requests SET chunks = 1, sealed_for = $2 WHERE id = $1", audit, self.ada
            )
            await connection.execute(
                "INSERT INTO privacy_export_chunks (request_id, position, org_id, payload) VALUES ($1, 0, $2, $3)",
                audit, self.org, part,
            )  # fmt: skip

    async def _of_catalog(self) -> None:
        cipher = await self.ring.cipher(self.org)
        project, scenario, integration = self.project.project_id, IDS.new(), IDS.new()
        async with within(self.pool, self.scope) as connection:
            sealed = [
                cipher.seal(b"scenario", Seal("table:scenarios", "scenarios", str(scenario), column))
                for column in ("samples", "instruction", "created_by")
            ]
            await connection.execute(
                "INSERT INTO scenarios (id, org_id, kind, priority, name, tool_ids, samples, instruction, created_by,"
                " counted_at) VALUES ($1, $2, 'manual', 2, 'n', ARRAY[$1::uuid], $3, $4, $5, now())",
                scenario, self.org, *sealed,
            )  # fmt: skip
            await connection.execute(
                "INSERT INTO integrations (id, org_id, alias, display_name, source)"
                " VALUES ($1, $2, 'a', 'A', 'native')",
                integration, self.org,
            )  # fmt: skip
            place = Seal(
                "table:project_integrations", "project_integrations", f"{project}:{integration}", "auth_headers"
            )
            await connection.execute(
                "INSERT INTO project_integrations (org_id, project_id, integration_id, auth_headers)"
                " VALUES ($1, $2, $3, $4)",
                self.org, project, integration, cipher.seal(b"{}", place),
            )  # fmt: skip

    async def values(self, ring: Keyring | None = None) -> dict[str, list[bytes]]:
        """Every sealed value of the organisation, opened by a process that knows nothing yet."""
        ring = ring or keyring(self.pool)
        opened: dict[str, list[bytes]] = {}
        for column in COLUMNS:
            async with within(self.pool, self.scope) as connection:
                rows = await connection.fetch(column.page, self.org, None, list(Position().after), 10_000)
            for row in rows:
                if row["sealed"]:
                    subject = None if column.owner is Owner.ORGANISATION else row["subject"]
                    cipher: OrgCipher = await ring.subject_cipher(self.org, subject)
                    opened.setdefault(column.name, []).append(cipher.open(row["sealed"], next(column.places(row))))
        return opened

    async def content(self) -> dict[str, list[bytes]]:
        """The same without the users' keys, which a rotation makes anew."""
        return {name: values for name, values in (await self.values()).items() if name != "data_keys.wrapped"}

    async def keys_in_use(self) -> Counter[UUID]:
        """Ids of data keys, by how many values they seal."""
        found: Counter[UUID] = Counter()
        for column in COLUMNS:
            async with within(self.pool, self.scope) as connection:
                rows = await connection.fetch(column.page, self.org, None, [], 10_000)
            found.update(read_header(row["sealed"]).key_id for row in rows if row["sealed"])
        return found

    async def statuses(self) -> Counter[tuple[str, str]]:
        rows = await self.pool.fetch("SELECT purpose, status FROM data_keys WHERE org_id = $1", self.org)
        return Counter((row["purpose"], row["status"]) for row in rows)

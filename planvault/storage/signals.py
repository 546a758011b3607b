"""Tokens of signals: opened by a run's host, settled by whoever calls back or by the end of the wait.

A token's secret is derived from a key of the organisation, so that neither plan, engine nor record ever holds it.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import cast

import orjson

from models.base import JsonObject
from models.commands import CommandKind, Signal
from models.ids import ProjectId, RunId, SessionId, TokenId
from models.tenants import OrgScope, ProjectScope, SessionScope
from planvault.errors import NotFound
from planvault.plan.hashing import canonical_hash
from planvault.ports import Keyring, Seal, SignalSecrets
from planvault.redact import Redactor
from planvault.storage.commands import Commands
from planvault.storage.pool import Connection, Pool, reading
from planvault.storage.queries import load
from planvault.storage.tenancy import enter, scoped

_SQL = load("planvault.storage", "sql/signals.sql")


class Delivery(StrEnum):
    """What became of a call back."""

    ACCEPTED = "accepted"
    ALREADY_DELIVERED = "already_delivered"
    CONFLICT = "conflict"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class OpenToken:
    """`expires_at` is None while the wait itself has not begun: the token was given away before."""

    token_id: TokenId
    run_id: RunId
    name: str
    secret: str = field(repr=False)
    expires_at: datetime | None
    created_at: datetime


class PostgresSignals:
    """Implements the Signals port. `public_url`: where services reach the API; empty where nobody said."""

    def __init__(self, pool: Pool, keyring: Keyring, secrets: SignalSecrets, public_url: str = "") -> None:
        self._pool = pool
        self._keyring = keyring
        self._secrets = secrets
        self._public_url = public_url.rstrip("/")

    def url(self, scope: SessionScope, token_id: TokenId) -> str:
        """Raises NotFound where nobody said how the API is reached."""
        if not self._public_url:
            raise NotFound("The platform does not know its own address: set PLANVAULT_PUBLIC_URL")
        return self._public_url + callback_path(scope, token_id)

    async def open(
        self, scope: SessionScope, run_id: RunId, token_id: TokenId, name: str, expires_at: datetime | None
    ) -> None:
        """Make the token known, or set the end of its wait. Doing it again changes nothing."""
        with reading("signals"):
            cipher = await self._keyring.session_cipher(scope)
            sealed = cipher.seal(orjson.dumps(name), _name_seal(token_id))
            await scoped(self._pool, scope).execute(_SQL["open"], *_place(scope), token_id, run_id, sealed, expires_at)

    async def close(self, scope: SessionScope, token_id: TokenId) -> bool:
        """Refuse what comes from now on. True where the signal had come before."""
        with reading("signals"):
            return bool(await scoped(self._pool, scope).fetchval(_SQL["close"], *_place(scope), token_id))

    async def credential(self, scope: SessionScope, token_id: TokenId) -> str:
        """What a caller sends as its bearer token: `TOKEN_ID:SECRET`."""
        return f"{token_id}:{await self._secrets.signal_secret(scope.org_id, token_id)}"

    async def waiting(self, scope: SessionScope) -> list[OpenToken]:
        """The session's open tokens, oldest first, at most 200."""
        cipher = await self._keyring.session_cipher(scope)
        return [
            OpenToken(
                token_id=TokenId(row["token_id"]),
                run_id=RunId(row["run_id"]),
                name=orjson.loads(cipher.open(row["name"], _name_seal(TokenId(row["token_id"])))),
                secret=await self._secrets.signal_secret(scope.org_id, TokenId(row["token_id"])),
                expires_at=row["expires_at"],
                created_at=row["created_at"],
            )
            for row in await scoped(self._pool, scope).fetch(_SQL["waiting"], *_place(scope))
        ]


class Callbacks:
    """The receiving end. `deliver` runs in the caller's transaction: token row and command land together."""

    def __init__(self, commands: Commands, secrets: SignalSecrets) -> None:
        self._commands = commands
        self._secrets = secrets

    async def deliver(
        self, connection: Connection, project_id: ProjectId, token_id: TokenId, secret: str, payload: JsonObject
    ) -> tuple[Delivery, int | None]:
        """What became of it, and the shard to wake where a command was written.

        An unknown token takes the same way as a wrong secret: one is derived from the key of the project's organisation
        and compared for both. Nothing is held before: token ids are public, and whoever knows one could keep its run's
        appends waiting.
        """
        org_id = await connection.fetchval(_SQL["organization"], project_id)
        expected = await self._secrets.signal_secret(org_id, token_id)
        if not hmac.compare_digest(expected.encode(), secret.encode("utf-8", "replace")):
            return Delivery.UNKNOWN, None
        await enter(connection, OrgScope(org_id=org_id))
        row = await connection.fetchrow(_SQL["hold"], project_id, token_id, org_id)
        if row is None:
            return Delivery.UNKNOWN, None
        mac = hmac.digest(expected.encode(), canonical_hash(payload).encode(), "sha256")
        if row["status"] == "delivered":
            same = hmac.compare_digest(row["payload_mac"], mac)
            return (Delivery.ALREADY_DELIVERED if same else Delivery.CONFLICT), None
        if row["status"] == "expired" or row["is_over"]:
            return Delivery.EXPIRED, None
        await connection.execute(_SQL["deliver"], token_id, mac, org_id)
        scope = SessionScope(org_id=row["org_id"], project_id=project_id, session_id=SessionId(row["session_id"]))
        # A service that puts the credential which it was given into what it delivers must not write it into the record.
        kept = cast("JsonObject", Redactor((expected,)).clean_json(payload))
        signal = Signal(run_id=RunId(row["run_id"]), token_id=token_id, payload=kept)
        await self._commands.enqueue(connection, scope, CommandKind.SIGNAL, signal)
        return Delivery.ACCEPTED, int(row["shard"])


def callback_path(scope: ProjectScope, token_id: TokenId) -> str:
    return f"/api/v1/projects/{scope.project_id}/callbacks/{token_id}"


def _place(scope: SessionScope) -> tuple[object, object, object]:
    return scope.org_id, scope.project_id, scope.session_id


def _name_seal(token_id: TokenId) -> Seal:
    return Seal("table:signals", "signals", str(token_id), "name")

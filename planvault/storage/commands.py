"""The inbox's writing end: a command is a row before anything happens (design, durable protocol 1)."""

from typing import NamedTuple

import structlog

from models.commands import Action, CommandKind, CommandPayload
from models.ids import CommandId, ProjectId, SessionId
from models.runs import SessionStatus
from models.tenants import OrgScope, ProjectScope, SessionScope
from planvault.errors import Conflict, NotFound
from planvault.ports import Ids, Keyring, Seal
from planvault.storage.hints import COMMANDS, Hints
from planvault.storage.pool import Connection, Pool, is_away
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/commands.sql")
_SESSIONS = load("planvault.storage", "sql/sessions.sql")
CLOSED = "The session is closed. Open a new one with POST /sessions."
_log = structlog.get_logger(__name__)


def command_seal(scope: SessionScope, command_id: CommandId) -> Seal:
    """Where a command's payload is encrypted; the inbox's reading end opens it with the same."""
    return Seal(f"session:{scope.session_id}", "commands", str(command_id), "payload")


class Held(NamedTuple):
    """A session that does not change its status until the transaction ends."""

    shard: int
    is_open: bool


class Commands:
    def __init__(self, pool: Pool, keyring: Keyring, ids: Ids, hints: Hints | None = None) -> None:
        self._pool = pool
        self._keyring = keyring
        self._ids = ids
        self._hints = hints

    async def hold_open(self, connection: Connection, scope: SessionScope) -> int:
        """The session's shard, the session kept from closing until the transaction ends.

        Raises NotFound, and Conflict for a closed session.
        """
        held = await self.hold(connection, scope)
        if not held.is_open:
            raise Conflict(CLOSED)
        return held.shard

    async def hold(self, connection: Connection, scope: SessionScope) -> Held:
        """The same for what may be said to a closed session too: its last run can still need an answer."""
        row = await connection.fetchrow(
            _SESSIONS["find_open_for_command"], scope.org_id, scope.project_id, scope.session_id
        )
        if row is None:
            raise NotFound("There is no such session in this project.")
        return Held(int(row["shard"]), is_open=row["status"] == SessionStatus.ACTIVE)

    async def enqueue(
        self, connection: Connection, scope: SessionScope, kind: CommandKind, payload: CommandPayload
    ) -> CommandId:
        """Insert the command inside the caller's transaction. Wake the shard's owner after the commit."""
        command_id = CommandId(self._ids.new())
        cipher = await self._keyring.session_cipher(scope)
        sealed = cipher.seal(payload.model_dump_json().encode(), command_seal(scope, command_id))
        place = (scope.org_id, scope.project_id, scope.session_id)
        if await connection.fetchval(_SQL["insert"], *place, command_id, kind.value, sealed) is None:
            raise NotFound("There is no such session in this project.")
        return command_id

    async def credentials_changed(self, connection: Connection, scope: OrgScope, actor: str) -> list[int]:
        """Tell the runs that wait for a credential in this scope; the shards to wake after the commit.

        The type of the scope is the level at which something changed: organisation, project or session.
        """
        project_id = scope.project_id if isinstance(scope, ProjectScope) else None
        session_id = scope.session_id if isinstance(scope, SessionScope) else None
        rows = await connection.fetch(_SQL["kept_out"], scope.org_id, project_id, session_id)
        for row in rows:
            session = SessionScope(
                org_id=scope.org_id, project_id=ProjectId(row["project_id"]), session_id=SessionId(row["session_id"])
            )
            await self.enqueue(connection, session, CommandKind.CREDENTIALS_CHANGED, Action(actor=actor))
        return sorted({int(row["shard"]) for row in rows})

    async def waiting(self, connection: Connection, scope: SessionScope) -> int:
        """How many commands of the session nobody has applied yet."""
        place = (scope.org_id, scope.project_id, scope.session_id)
        return int(await connection.fetchval(_SQL["count_waiting"], *place))

    async def wake(self, shard: int) -> None:
        """Hint the shard's owner. Losing it costs at most the owner's scan interval, so a database that is away is no
        error here: the command stands, and a caller told otherwise would send it again."""
        if self._hints is not None:
            await self._hints.tell(COMMANDS, str(shard))
        try:
            await self._pool.execute(_SQL["wake"], shard)
        except Exception as fault:
            if not is_away(fault):
                raise
            _log.warning("wake_lost", shard=shard, cause=type(fault).__name__)

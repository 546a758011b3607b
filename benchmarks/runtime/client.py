"""What the API does for a caller, without HTTP: sessions and commands as rows, results read off the record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial

from models.commands import Action, CommandKind, Message
from models.ids import MessageId, SessionId, shard_of
from models.policies import SessionSettings
from models.tenants import ProjectScope, SessionScope
from planvault.clock import TimeOrderedIds
from planvault.storage.commands import Commands
from planvault.storage.history import event_seal
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Pool, transaction
from planvault.storage.sessions import SessionDraft, Sessions

_PATIENCE_S = 300.0
_LOOKS_S = 0.02
_AT_ONCE = 16
_AHEAD = 4  # prompts given to a session and not yet answered


class Client:
    def __init__(self, pool: Pool, keyring: PostgresKeyring, scope: ProjectScope, shards: int) -> None:
        self.pool = pool
        self._keyring = keyring
        self._scope = scope
        self._shards = shards
        self._ids = TimeOrderedIds()
        self._sessions = Sessions(pool, keyring, keyring.pseudonym, shards)
        self._commands = Commands(pool, keyring, self._ids)

    async def session(self) -> SessionScope:
        session_id = SessionId(self._ids.new())
        async with transaction(self.pool) as connection:
            draft = SessionDraft({}, {}, (), None, SessionSettings())
            await self._sessions.insert(connection, self._scope, session_id, draft)
        return SessionScope(**self._scope.model_dump(), session_id=session_id)

    async def sessions(self, count: int) -> list[SessionScope]:
        made: list[SessionScope] = []

        async def one() -> None:
            made.append(await self.session())

        await _some_at_once([one] * count)
        return made

    async def say(self, scope: SessionScope, prompt: str) -> None:
        """A prompt as the API writes it: a command in a transaction of its own, then the hint."""
        await self._send(scope, CommandKind.MESSAGE, Message(message_id=MessageId(self._ids.new()), text=prompt))

    async def say_all(self, scopes: Sequence[SessionScope], prompt: str) -> None:
        await _some_at_once([partial(self.say, scope, prompt) for scope in scopes])

    async def act(self, scope: SessionScope, kind: CommandKind, **fields: object) -> None:
        await self._send(scope, kind, Action.model_validate(fields))

    async def _send(self, scope: SessionScope, kind: CommandKind, payload: Message | Action) -> None:
        async with transaction(self.pool) as connection:
            await self._commands.enqueue(connection, scope, kind, payload)
        await self._commands.wake(shard_of(scope.session_id, self._shards))

    async def run_all(self, scopes: list[SessionScope], prompt: str, each: int) -> None:
        """So many runs of the prompt in every session, a few of them queued: a run's end need not be waited for."""
        await self.say_all(scopes * min(each, _AHEAD), prompt)
        given = dict.fromkeys((scope.session_id for scope in scopes), min(each, _AHEAD))
        query = """SELECT session_id, count(*) FILTER (WHERE status = 'completed') AS done,
                          count(*) FILTER (WHERE status IN ('failed', 'interrupted', 'cancelled')) AS broken
                   FROM runs WHERE session_id = ANY($1) GROUP BY session_id"""
        pause = _LOOKS_S if len(scopes) == 1 else 4 * _LOOKS_S  # many take longer, and looking at them costs more
        async with asyncio.timeout(_PATIENCE_S):
            while scopes:
                await asyncio.sleep(pause)
                rows = await self.pool.fetch(query, [scope.session_id for scope in scopes])
                if broken := [row["session_id"] for row in rows if row["broken"]]:
                    raise RuntimeError(f"a run of the benchmark did not complete: {await self._why(broken)}")
                done = {row["session_id"]: row["done"] for row in rows}
                scopes = [scope for scope in scopes if done.get(scope.session_id, 0) < each]
                more = [
                    scope
                    for scope in scopes
                    for _ in range(min(each, done.get(scope.session_id, 0) + _AHEAD) - given[scope.session_id])
                ]
                for scope in more:
                    given[scope.session_id] += 1
                await self.say_all(more, prompt)

    async def all_are(self, scopes: Sequence[SessionScope], status: str, runs: int) -> None:
        """Returns once so many runs of these sessions have the status. Raises where one ended as something else."""
        sessions = [scope.session_id for scope in scopes]
        deadline = time.perf_counter() + _PATIENCE_S
        query = "SELECT status, count(*) AS runs FROM runs WHERE session_id = ANY($1) GROUP BY status"
        while time.perf_counter() < deadline:
            counts = {row["status"]: row["runs"] for row in await self.pool.fetch(query, sessions)}
            if ended := counts.keys() & ({"failed", "cancelled", "interrupted", "completed"} - {status}):
                raise RuntimeError(f"benchmark runs ended as {sorted(ended)}: {await self._why(sessions)}")
            if counts.get(status, 0) >= runs:
                return
            await asyncio.sleep(_LOOKS_S)
        raise TimeoutError(f"not all runs came to be {status} within {_PATIENCE_S:.0f} s: {counts}")

    async def _why(self, sessions: Sequence[SessionId]) -> str:
        """What the record of one of these sessions says of its failure."""
        query = "SELECT session_id, seq, payload FROM events WHERE session_id = ANY($1) AND type = 'error' LIMIT 1"
        row = await self.pool.fetchrow(query, sessions)
        if row is None:
            return "no error on record"
        cipher = await self._keyring.cipher(self._scope.org_id)
        return cipher.open(row["payload"], event_seal(row["session_id"], row["seq"])).decode()

    async def all_have(self, scopes: Sequence[SessionScope], event: str) -> None:
        """Returns once each of these sessions has an event of the type."""
        query = "SELECT count(DISTINCT session_id) FROM events WHERE session_id = ANY($1) AND type = $2"
        async with asyncio.timeout(_PATIENCE_S):
            while await self.pool.fetchval(query, [scope.session_id for scope in scopes], event) < len(scopes):  # noqa: ASYNC110
                await asyncio.sleep(_LOOKS_S)

    async def gaps_ms(self, scopes: Sequence[SessionScope], event: str = "tool_start") -> list[float]:
        """Milliseconds from one step's start to the next one's in its run, by the host's clock, all runs together."""
        rows = await self.pool.fetch(
            """SELECT extract(epoch FROM at - lag(at) OVER (PARTITION BY run_id ORDER BY seq)) * 1000 AS ms
               FROM events WHERE session_id = ANY($1) AND type = $2""",
            [scope.session_id for scope in scopes],
            event,
        )
        return [float(row["ms"]) for row in rows if row["ms"] is not None]

    async def last_at(self, scopes: Sequence[SessionScope], event: str) -> datetime:
        """When the newest event of the type was decided."""
        sessions = [scope.session_id for scope in scopes]
        at = await self.pool.fetchval(
            "SELECT max(at) FROM events WHERE session_id = ANY($1) AND type = $2", sessions, event
        )
        assert isinstance(at, datetime)
        return at


async def _some_at_once(work: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """A few at a time, in order: tens of thousands of tasks would be slower than what they do."""
    rest = iter(work)

    async def through() -> None:
        for one in rest:
            await one()

    await asyncio.gather(*(through() for _ in range(_AT_ONCE)))

"""The rules of Idempotency-Key, the same without Redis, with it, and with it lost midway (feature X2)."""

import asyncio
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from planvault.settings import Settings
from planvault.storage import redis_link
from planvault.storage.idempotency import Answer, AnswerScope, Idempotency, IdempotencyKey
from tests.integration.redis_server import RedisServer
from tests.integration.serve_apps.conftest import ADMIN, ObservedDeps, Recorder, Tenant, client_for, open_session

Ask = Callable[..., Awaitable[httpx.Response]]


@dataclass
class Midway:
    """What becomes of Redis between a first request and its repeat."""

    fate: str
    server: RedisServer | None

    def __call__(self) -> None:
        if self.server is None or self.fate == "with redis":
            return
        if self.fate == "hanging midway":
            self.server.freeze()
            return
        self.server.kill()
        if self.fate == "restarted empty midway":
            self.server.start()


FATES = ["without redis", "with redis", "killed midway", "restarted empty midway", "hanging midway", "never there"]


@pytest.fixture(params=FATES)
def midway(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Midway]:
    if request.param == "with redis":
        # A busy machine is no lost Redis: what is to be seen is what it holds, not how soon.
        monkeypatch.setattr(redis_link, "ANSWER_S", 10.0)
        monkeypatch.setitem(redis_link.connect.__kwdefaults__, "answer_s", 10.0)
    server = None if request.param == "without redis" else RedisServer(tmp_path)
    if server is not None and request.param != "never there":
        server.start()
    yield Midway(request.param, server)
    if server is not None:
        server.kill()


@pytest.fixture
def settings(database_url: str, tmp_path: Path, midway: Midway) -> Settings:
    url = midway.server.url if midway.server is not None else ""
    digest = ADMIN.sha256.hex()
    return Settings(database_url=database_url, data_dir=tmp_path, admin_token_sha256=digest, redis_url=url)


@pytest.fixture
def ask(client: httpx.AsyncClient, path: str) -> Ask:
    async def send(text: str, key: str) -> httpx.Response:
        return await client.post(f"{path}/messages", json={"message": text}, headers={"Idempotency-Key": key})

    return send


async def commands(deps: ObservedDeps, session: Recorder) -> int:
    query = "SELECT count(*) FROM commands WHERE session_id = $1"
    return int(await deps.database.fetchval(query, session.scope.session_id))


async def test_the_same_key_and_body_get_the_same_answer_and_one_command(
    deps: ObservedDeps, ask: Ask, session: Recorder, midway: Midway
) -> None:
    first = await ask("hi", "k")
    midway()
    repeats = [await ask("hi", "k") for _ in range(3)]
    assert {(answer.status_code, answer.content) for answer in repeats} == {(202, first.content)}
    assert await commands(deps, session) == 1


async def test_the_same_key_with_another_body_is_refused(
    deps: ObservedDeps, ask: Ask, session: Recorder, midway: Midway
) -> None:
    first = await ask("one", "k")
    midway()
    refused = await ask("two", "k")
    assert refused.status_code == 422
    assert refused.json()["type"] == "urn:planvault:problem:IDEMPOTENCY_KEY_REUSED"
    assert (await ask("one", "k")).content == first.content
    assert await commands(deps, session) == 1


async def test_another_person_s_request_is_no_repeat(
    deps: ObservedDeps, client: httpx.AsyncClient, path: str, session: Recorder, midway: Midway
) -> None:
    """Two people who approve under one key would be one vote, and both would hear that theirs was taken."""

    async def says(operator: str) -> httpx.Response:
        headers = {"Idempotency-Key": "k", "X-Operator-Id": operator}
        return await client.post(f"{path}/messages", json={"message": "hi"}, headers=headers)

    first = await says("bob")
    midway()
    assert (await says("carol")).json()["type"] == "urn:planvault:problem:IDEMPOTENCY_KEY_REUSED"
    assert (await says("bob")).content == first.content
    assert await commands(deps, session) == 1


async def test_a_request_still_in_flight_is_a_conflict_and_can_be_repeated(
    deps: ObservedDeps, ask: Ask, session: Recorder, path: str, midway: Midway
) -> None:
    lock = f"{session.scope.project_id}:POST {path}/messages:k"
    async with deps.database.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 7501))", lock)
        refused = await ask("hi", "k")
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:planvault:problem:IDEMPOTENCY_IN_FLIGHT"
    midway()
    assert (await ask("hi", "k")).status_code == 202
    assert await commands(deps, session) == 1


async def test_thirty_two_requests_at_once_with_one_key_leave_one_command(
    deps: ObservedDeps, ask: Ask, session: Recorder, midway: Midway
) -> None:
    answers = await asyncio.gather(*(ask("hi", "k") for _ in range(32)))
    midway()
    answers += [await ask("hi", "k")]
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.content for answer in answers if answer.status_code == 202}) == 1
    assert answers[-1].status_code == 202
    assert await commands(deps, session) == 1


async def test_a_refused_request_keeps_no_answer(client: httpx.AsyncClient, path: str, midway: Midway) -> None:
    headers = {"Idempotency-Key": "k"}
    refused = await client.post(f"{path}/actions", json={"action": "approve"}, headers=headers)
    assert refused.status_code == 409
    midway()
    again = await client.post(f"{path}/actions", json={"action": "reject"}, headers=headers)
    assert again.json()["type"] == "urn:planvault:problem:CONFLICT"


async def test_a_key_is_one_project_s_and_one_session_s(
    deps: ObservedDeps, ask: Ask, client: httpx.AsyncClient, tenant: Tenant, stranger: Tenant, midway: Midway
) -> None:
    first = await ask("hi", "k")
    midway()
    other = await open_session(deps, client, tenant)
    async with client_for(deps, stranger.auth) as theirs:
        foreign = await open_session(deps, theirs, stranger)
        answers = [
            await caller.post(
                f"{owner.base}/sessions/{place.scope.session_id}/messages",
                json={"message": "hi"},
                headers={"Idempotency-Key": "k"},
            )
            for caller, owner, place in ((client, tenant, other), (theirs, stranger, foreign))
        ]
    assert len({answer.json()["messageId"] for answer in (first, *answers)}) == 3


async def test_losing_redis_slows_no_request_noticeably(ask: Ask, midway: Midway) -> None:
    """Medians, each beside its own: one request finds out that Redis is lost, and the machine may be busy."""

    async def median_s(name: str) -> float:
        took = []
        for number in range(15):
            started = time.monotonic()
            assert (await ask("hi", f"{name}-{number}")).status_code == 202
            took.append(time.monotonic() - started)
        return statistics.median(took)

    before = await median_s("before")
    midway()
    assert await median_s("after") < 2 * before + 0.05  # half of what a lost Redis is waited for


async def test_health_names_redis_where_there_is_one_and_stays_ready_without_it(
    anonymous: httpx.AsyncClient, deps: ObservedDeps, midway: Midway
) -> None:
    await deps.database.execute(
        "INSERT INTO hosts (id, build_id, heartbeat_at) VALUES ('h', 'b', now())"
        " ON CONFLICT (id) DO UPDATE SET heartbeat_at = now()"
    )
    midway()
    health = (await anonymous.get("/health")).json()
    assert health["ready"] is True
    if midway.fate == "without redis":
        assert "redis" not in health["parts"]
    else:
        part = health["parts"]["redis"]
        assert part["needed"] is False
        assert part["ready"] is (midway.fate in ("with redis", "restarted empty midway"))


only = pytest.mark.parametrize("midway", ["with redis"], indirect=True)


@only
async def test_a_repeat_asks_postgres_for_no_answer(ask: Ask, deps: ObservedDeps, session: Recorder, path: str) -> None:
    """A lock that would make Postgres say `in flight` does not matter to it."""
    first = await ask("hi", "k")
    lock = f"{session.scope.project_id}:POST {path}/messages:k"
    async with deps.database.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 7501))", lock)
        assert (await ask("hi", "k")).content == first.content
        assert (await ask("other", "k")).status_code == 422


@only
async def test_what_redis_holds_is_sealed_ends_before_its_row_and_names_nobody(ask: Ask, midway: Midway) -> None:
    answer = await ask("hi", "a-telling-key")
    assert midway.server is not None
    with midway.server.client() as redis:
        [name] = redis.keys("*")
        entry = redis.get(name)
        assert b"telling" not in name
        assert answer.json()["messageId"].encode() not in entry
        assert 23 * 3600 < redis.ttl(name) < 24 * 3600 - 200


@only
async def test_an_answer_that_only_postgres_has_is_cached_for_the_time_that_is_left(
    ask: Ask, deps: ObservedDeps, midway: Midway
) -> None:
    first = await ask("hi", "aging")
    assert midway.server is not None
    with midway.server.client() as redis:
        redis.flushall()
        await deps.database.execute(
            "UPDATE idempotency SET created_at = now() - interval '23 hours' WHERE key = 'aging'"
        )
        assert (await ask("hi", "aging")).content == first.content
        [name] = redis.keys("*")
        assert 3000 < redis.ttl(name) < 3600 - 200
        redis.flushall()
        await deps.database.execute(
            "UPDATE idempotency SET created_at = now() - interval '23 hours 58 minutes' WHERE key = 'aging'"
        )
        assert (await ask("hi", "aging")).content == first.content
        assert redis.keys("*") == []  # too little time is left


@only
async def test_an_entry_that_somebody_changed_or_moved_is_not_believed(
    ask: Ask, deps: ObservedDeps, session: Recorder, midway: Midway
) -> None:
    first, second = await ask("hi", "k-1"), await ask("hi", "k-2")
    assert midway.server is not None
    with midway.server.client() as redis:
        one, two = redis.keys("*")
        entry = redis.get(one)
        redis.set(one, redis.get(two))
        redis.set(two, entry[:-1] + bytes([entry[-1] ^ 1]))
    assert (await ask("hi", "k-1")).content == first.content
    assert (await ask("hi", "k-2")).content == second.content
    assert await commands(deps, session) == 2


CRASH = """
import asyncio, os, sys
from uuid import UUID
from planvault.clock import TimeOrderedIds
from planvault.crypto.kek import LocalKeyWrapper
from planvault.storage.idempotency import Answer, AnswerScope, Idempotency, IdempotencyKey
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import open_pool

url, folder, org, project, when = sys.argv[1:]

class Crash:
    async def recall(self, scope, key): return None
    async def keep(self, scope, key, kept, left_s): os.kill(os.getpid(), 9)

async def work(connection):
    await connection.execute("INSERT INTO done (at) VALUES (now())")
    if when == "before the commit":
        os.kill(os.getpid(), 9)
    return Answer(202, {"first": True})

async def main():
    pool = await open_pool(url, name="crash")
    keyring = PostgresKeyring(pool, LocalKeyWrapper.at(folder + "/keyset.json"), TimeOrderedIds())
    scope = AnswerScope(UUID(org), UUID(project))
    await Idempotency(pool, keyring, Crash()).once(scope, IdempotencyKey("POST /x", "k", b"1" * 32), work)

asyncio.run(main())
"""


@pytest.mark.parametrize("midway", ["without redis"], indirect=True)
@pytest.mark.parametrize(("when", "effects"), [("before the commit", 0), ("after the commit", 1)])
async def test_a_process_killed_around_its_commit_leaves_all_or_nothing(
    deps: ObservedDeps, tenant: Tenant, settings: Settings, when: str, effects: int
) -> None:
    """After the commit and before the answer: the repeat gets the answer that nobody heard."""
    await deps.keyring.cipher(tenant.scope.org_id)  # the keyset is there, for both
    await deps.database.execute("CREATE TABLE IF NOT EXISTS done (at timestamptz)")
    await deps.database.execute("TRUNCATE done; GRANT ALL ON done TO planvault_app")
    scope = AnswerScope(tenant.scope.org_id, tenant.scope.project_id)
    arguments = [settings.database_url, str(settings.data_dir), str(scope.org_id), str(scope.owner_id), when]
    died = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", CRASH, *arguments], timeout=60)
    assert died.returncode == -signal.SIGKILL
    assert await deps.database.fetchval("SELECT count(*) FROM done") == effects

    async def again(connection: object) -> Answer:
        await deps.database.execute("INSERT INTO done (at) VALUES (now())")
        return Answer(202, {"first": False})

    answer = await Idempotency(deps.database, deps.keyring).once(
        scope, IdempotencyKey("POST /x", "k", b"1" * 32), again
    )
    assert answer == Answer(202, {"first": effects == 1})
    assert await deps.database.fetchval("SELECT count(*) FROM done") == 1

"""Large bodies, one of 20 MB, over real HTTP into real Postgres, looked at by a real worker process."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from models.ids import BlobId, RunId, SessionId
from models.plans import Assignment, Expr
from models.policies import RunLimits, SessionSettings
from models.results import Extract, FragmentFound, FragmentQuery, FragmentRefused, Inspect, ResultPlace, Stored
from models.tenants import ProjectScope, SessionScope
from models.tools import ToolCallFailure, ToolFailed, ToolSucceeded
from planvault.clock import SystemClock, TimeOrderedIds
from planvault.crypto.kek import LocalKeyWrapper
from planvault.net.client import GuardedHttp
from planvault.plan.dsl import parse_dsl
from planvault.plan.problems import Problems
from planvault.ports import ToolCall
from planvault.redact import Redactor
from planvault.storage.blobs import Blobs
from planvault.storage.bootstrap import ensure_default_tenant
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Pool, open_pool, transaction
from planvault.storage.sessions import SessionDraft, Sessions
from planvault.tools.http import HttpExecutor
from planvault.tools.large import LargeResults
from planvault.tools.pool import WorkerProcesses
from tests.integration.runtime.harness import eventually
from tests.integration.tools.counting_server import counting
from tests.integration.tools.large_bodies import MIB, items_of, nested, orders, sending
from tests.integration.tools.test_http_executor import SECRETS, call, tool

BODY = orders(20 * MIB)
SOME = orders(3 * MIB)  # large enough for everything but the figure itself
IDS = TimeOrderedIds()


@dataclass
class Parts:
    executor: HttpExecutor
    workers: WorkerProcesses
    blobs: Blobs
    pool: Pool
    place: ResultPlace

    async def execute(self, url: str, method: str = "GET", limit: int = 25 * MIB, **fields: Any) -> Any:
        timeout_s = fields.pop("timeout_s", 30.0)
        given = call(url, tool(method, timeout_s=timeout_s), **fields)
        return await self.executor.execute(self.placed(given, limit))

    def placed(self, given: ToolCall, limit: int) -> ToolCall:
        return replace(given, place=self.place, limits=RunLimits(max_result_bytes=limit))

    async def ask(self, source: str, stored: Stored, **options: Any) -> Any:
        query = FragmentQuery(exprs=(_expr(source),), stored={"x": stored}, **options)
        return await self.workers.extract(Extract(place=self.place, query=query))

    async def left_none(self) -> bool:
        return await self.left() == 0

    async def left(self) -> int:
        """Blobs of this test's session."""
        return int(
            await self.pool.fetchval("SELECT count(*) FROM blobs WHERE session_id = $1", self.place.scope.session_id)
        )


def _expr(source: str) -> Expr:
    plan = parse_dsl(f"<script>\ny = {source}\nreply(y)\n</script>", Problems())
    assert plan is not None
    node = plan.body[0]
    assert isinstance(node, Assignment)
    return node.expr


@pytest.fixture(scope="module")
def keyset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "keyset.json"


@pytest.fixture(scope="module")
def processes(database_url: str, keyset: Path) -> Iterator[WorkerProcesses]:
    """One worker for the module: it takes a second or two to start."""
    workers = WorkerProcesses(database_url, keyset)
    yield workers
    asyncio.run(workers.__aexit__(None, None, None))


@pytest.fixture
async def parts(database_url: str, keyset: Path, processes: WorkerProcesses) -> AsyncIterator[Parts]:
    pool = await open_pool(database_url, name="test", maximum=4)
    keyring = PostgresKeyring(pool, LocalKeyWrapper.at(keyset), IDS)
    blobs = Blobs(pool, keyring, IDS)
    tenant = await ensure_default_tenant(pool, IDS)
    project = ProjectScope(org_id=tenant.org_id, project_id=tenant.project_id)
    session_id = SessionId(IDS.new())
    async with transaction(pool) as connection:
        sessions = Sessions(pool, keyring, keyring.pseudonym, 8)
        await sessions.insert(connection, project, session_id, SessionDraft({}, {}, (), None, SessionSettings()))
    scope = SessionScope(**project.model_dump(), session_id=session_id)
    http = GuardedHttp()
    executor = HttpExecutor(http, Redactor(), SystemClock(), LargeResults(blobs, keyring, processes))
    yield Parts(executor, processes, blobs, pool, ResultPlace(scope=scope, run_id=RunId(IDS.new())))
    await http.aclose()
    await pool.close()


def stored_of(outcome: object) -> Stored:
    assert isinstance(outcome, ToolSucceeded), outcome
    assert outcome.stored is not None
    assert outcome.value is None
    return outcome.stored


def failed(outcome: object) -> tuple[ToolCallFailure, str]:
    assert isinstance(outcome, ToolFailed), outcome
    return outcome.failure, outcome.code


# ── arriving ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "way"),
    [
        (BODY, {}),
        (SOME, {"chunked": False}),
        (SOME, {"coding": "gzip"}),
        (SOME, {"coding": "deflate", "chunked": False}),
    ],
    ids=["20 MB chunked", "with a length", "gzip", "deflate"],
)
async def test_a_large_body_is_stored_as_it_came(parts: Parts, body: bytes, way: dict[str, Any]) -> None:
    async with counting(sending(body, **way)) as server:
        outcome = await parts.execute(server.url)
        assert len(server.requests) == 1
    stored = stored_of(outcome)
    assert outcome.size == stored.size == len(body)
    assert await parts.blobs.read(parts.place.scope, stored) == body
    assert stored.shape["fields"]["items"]["length"] == len(items_of(body))


async def test_a_small_body_is_a_value_and_touches_no_blob(parts: Parts) -> None:
    async with counting(sending(orders(100_000))) as server:
        outcome = await parts.execute(server.url)
    assert isinstance(outcome, ToolSucceeded)
    assert outcome.stored is None
    assert outcome.value["total"] == len(outcome.value["items"])
    assert await parts.left() == 0


@pytest.mark.parametrize("way", [{}, {"chunked": False}, {"coding": "gzip"}], ids=["chunked", "declared", "gzip"])
async def test_a_body_over_the_cap_is_refused_the_connection_closed_and_nothing_kept(
    parts: Parts, way: dict[str, Any]
) -> None:
    async with counting(sending(SOME, **way)) as server:
        outcome = await parts.execute(server.url, limit=MIB)
        assert failed(outcome) == (ToolCallFailure.ANSWERED, "RESPONSE_TOO_LARGE")
        await eventually(lambda: server.writers[0].is_closing(), what="the connection is closed")
    assert await parts.left() == 0


async def test_a_small_bomb_is_as_large_as_what_it_becomes(parts: Parts) -> None:
    async with counting(sending(b"0" * (60 * MIB), coding="gzip")) as server:
        assert failed(await parts.execute(server.url))[1] == "RESPONSE_TOO_LARGE"
    assert await parts.left() == 0


@pytest.mark.parametrize(("method", "repeatable"), [("GET", True), ("POST", False)])
async def test_a_body_cut_in_the_middle_has_an_unknown_outcome(parts: Parts, method: str, repeatable: bool) -> None:
    async with counting(sending(SOME, cut_at=2 * MIB)) as server:
        outcome = await parts.execute(server.url, method)
        assert failed(outcome) == (ToolCallFailure.UNKNOWN, "CONNECTION_LOST")
        assert len(server.requests) == 1
    assert await parts.left() == 0


async def test_a_body_shorter_than_its_content_length_is_no_result(parts: Parts) -> None:
    body = orders(MIB)
    async with counting(sending(body, chunked=False, declared=len(body) + 10)) as server:
        assert failed(await parts.execute(server.url, timeout_s=1.0))[0] is ToolCallFailure.UNKNOWN
    assert await parts.left() == 0


async def test_a_body_that_comes_too_slowly_ends_at_the_tool_s_deadline(parts: Parts) -> None:
    async with counting(sending(BODY, pause_s=0.05)) as server:
        assert failed(await parts.execute(server.url, timeout_s=1.0)) == (ToolCallFailure.UNKNOWN, "TIMEOUT")
    await eventually(parts.left_none, what="nothing is kept")


async def test_a_cancelled_call_leaves_no_blob(parts: Parts) -> None:
    async with counting(sending(BODY, pause_s=0.05)) as server:
        running = asyncio.create_task(parts.execute(server.url))
        await eventually(lambda: parts.left(), what="the body is being spooled")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await eventually(parts.left_none, what="nothing is kept")


# ── looked into ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_json_that_breaks_after_megabytes_is_text(parts: Parts) -> None:
    body = SOME[: 2 * MIB] + b"<oops>"
    async with counting(sending(body)) as server:
        stored = stored_of(await parts.execute(server.url))
    assert stored.shape == {"type": "string", "length": len(body)}


async def test_a_body_nested_too_deeply_is_refused(parts: Parts) -> None:
    async with counting(sending(nested(1_000, MIB))) as server:
        assert failed(await parts.execute(server.url))[1] == "RESPONSE_TOO_DEEP"
    assert await parts.left() == 0


@pytest.mark.parametrize(
    "spelled",
    [SECRETS["TOKEN"], SECRETS["TOKEN"].replace("t", "\\u0074", 1)],
    ids=["as it is", "behind an escape"],
)
async def test_a_secret_that_a_large_body_echoes_is_not_stored(parts: Parts, spelled: str) -> None:
    body = SOME[:-1] + f',"echo":"Bearer {spelled}","echo":1}}'.encode()  # the second hides the first from a parser
    async with counting(sending(body)) as server:
        auth = {"Authorization": "Bearer {{secrets.TOKEN}}"}
        stored = stored_of(await parts.execute(server.url, auth_headers=auth))
    content = await parts.blobs.read(parts.place.scope, stored)
    assert b"3f9a8b7c6d5e" not in content
    assert stored.sha256 != ""
    assert await parts.left() == 1, "the body with the secret is still there"


async def test_an_inspection_whose_answer_was_lost_is_made_again(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its worker died at the last moment, or its answer came too late: the body is still there for the next one."""
    real = parts.workers.inspect

    async def twice(job: Inspect) -> Any:
        await real(job)
        return await real(job)

    monkeypatch.setattr(parts.workers, "inspect", twice)
    body = orders(MIB)[:-1] + f',"echo":"{SECRETS["TOKEN"]}"}}'.encode()
    async with counting(sending(body)) as server:
        auth = {"Authorization": "Bearer {{secrets.TOKEN}}"}
        stored = stored_of(await parts.execute(server.url, "POST", auth_headers=auth))
    content = await parts.blobs.read(parts.place.scope, stored)
    assert SECRETS["TOKEN"].encode() not in content
    assert await parts.left() == 2, "the body is gone; the copy that nobody heard of is the sweep's"


async def test_a_large_body_that_echoes_nothing_is_not_written_twice(parts: Parts) -> None:
    async with counting(sending(SOME)) as server:
        stored = stored_of(await parts.execute(server.url, auth_headers={"Authorization": "Bearer {{secrets.TOKEN}}"}))
    assert await parts.blobs.read(parts.place.scope, stored) == SOME
    assert await parts.left() == 1


async def test_a_worker_that_dies_is_replaced_and_asked_again(parts: Parts) -> None:
    async with counting(sending(SOME)) as server:
        await parts.execute(server.url)  # a worker runs
        for process in list(parts.workers.children):
            os.kill(process, signal.SIGKILL)
        stored_of(await parts.execute(server.url))


# ── fragments ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def large(parts: Parts) -> Stored:
    return await parts.blobs.write(parts.place, SOME, "application/json", "result")


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("x.items[0].name", "order number 0"),
        ("len(x.items)", len(items_of(SOME))),
        ("x.total > 10 and not x.items == []", True),
        ('jsonpath(x, "$.items[?@.id == 77].price")', [77.5]),
        ("sum(pluck(slice(x.items, 0, 3), 'id'))", 3),
        ('f"{x.items[1].name}!"', "order number 1!"),
    ],
)
async def test_an_expression_over_a_stored_result_gives_its_value(
    parts: Parts, large: Stored, source: str, value: object
) -> None:
    answer = await parts.ask(source, large)
    assert isinstance(answer, FragmentFound), answer
    assert [part.value for part in answer.parts] == [value]


async def test_a_fragment_that_is_large_itself_is_stored_and_can_be_asked(parts: Parts, large: Stored) -> None:
    answer = await parts.ask("slice(x.items, 100, 60000)", large)
    derived = answer.parts[0].stored
    assert derived is not None
    assert answer.parts[0].value is None
    first = await parts.ask("x[0].id", derived)
    assert first.parts[0].value == 100


async def test_what_must_be_handed_on_whole_says_how_to_pick_a_part(parts: Parts, large: Stored) -> None:
    answer = await parts.ask("x.items", large, whole=True)
    assert isinstance(answer, FragmentRefused)
    assert answer.code == "RESULT_TOO_LARGE"
    assert "jsonpath" in answer.message


async def test_a_fault_of_the_expression_is_the_plan_s(parts: Parts, large: Stored) -> None:
    answer = await parts.ask("x.itens", large)
    assert (answer.code, "items" in answer.message) == ("MISSING_FIELD", True)


async def test_a_loop_s_items_come_in_windows(parts: Parts, large: Stored) -> None:
    answer = await parts.ask("slice(x.items, 0, 5000)", large, items_from=0, most_items=5_000)
    assert (answer.total, len(answer.parts) < 5_000) == (5_000, True)
    seen = [part.value["id"] for part in answer.parts]
    while len(seen) < 5_000:
        more = await parts.ask("x", answer.source, items_from=len(seen), most_items=5_000)
        assert more.parts
        seen += [part.value["id"] for part in more.parts]
    assert seen == list(range(5_000))


async def test_more_items_than_the_run_has_turns_left_are_refused(parts: Parts, large: Stored) -> None:
    answer = await parts.ask("x.items", large, items_from=0, most_items=1_000)
    assert answer.code == "LIMIT_LOOP_ITERATIONS"


async def test_a_result_that_is_gone_says_so(parts: Parts, large: Stored) -> None:
    gone = large.model_copy(update={"blob_id": BlobId(IDS.new())})
    assert (await parts.ask("x.total", gone)).code == "RESULT_GONE"

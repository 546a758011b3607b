"""Every status of a run, reached over the public API alone, and seen in `runs`, in the history and on the stream."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.planning import PlanOutcome, PlanRequest
from models.plans import Fail, Lit, Plan, Slot
from models.runs import RunStatus
from models.tools import Idempotency, ToolCallFailure, ToolFailed
from planvault.ports import ToolCall
from planvault.settings import Settings
from tests.integration.runtime.harness import SHARDS, World, eventually
from tests.integration.serve_apps.conftest import ADMIN, ObservedDeps, Tenant
from tests.integration.serve_apps.live import events, serving
from tests.integration.serve_apps.pausing import Talk, talking
from tests.unit.engine.plans import call, plan, reply, var


class Held(World):
    """Its planner and its services wait for the test, where the test says so."""

    def __init__(self) -> None:
        super().__init__(plan(reply(Lit(value=1))))
        self.planning, self.calling = asyncio.Event(), asyncio.Event()
        self.let_in = self.lose_late = self.refuse_late = False
        self.tool("get", self._get)
        self.tool("guarded", self._guarded, Idempotency.NONE)
        self.tool("lose", self._lose, Idempotency.NONE)

    async def plan_(self, request: PlanRequest) -> PlanOutcome:
        await self.planning.wait()
        return await super().plan_(request)

    async def _get(self, _: ToolCall) -> Any:
        await self.calling.wait()
        return "got"

    async def _guarded(self, _: ToolCall) -> Any:
        refused = ToolFailed(failure=ToolCallFailure.CREDENTIAL, code="HTTP_401", message="no", status=401)
        if self.refuse_late:
            await self.calling.wait()
            self.refuse_late, self.let_in = False, True
            return refused
        return "in" if self.let_in else refused

    async def _lose(self, _: ToolCall) -> Any:
        if self.lose_late:
            await self.calling.wait()
        return ToolFailed(failure=ToolCallFailure.UNKNOWN, code="TIMEOUT", message="no answer")


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(database_url=database_url, data_dir=tmp_path, admin_token_sha256=ADMIN.sha256.hex(), shards=SHARDS)


@pytest.fixture
def world() -> Held:
    return Held()


@pytest.fixture
async def talk(deps: ObservedDeps, tenant: Tenant, client: httpx.AsyncClient, world: Held) -> AsyncIterator[Talk]:
    async with talking(deps, tenant, client, world, reauth_expires_s=4) as opened:
        yield opened


EVERYTHING = plan(
    call("n1", "get", "a"),
    call("n2", "wait_for_signal", "b", name=Lit(value="paid")),
    call("n3", "guarded", "c"),
    reply(var("c")),
    slots=(Slot(variable="city", prompt="Where?"),),
)


async def test_every_status_is_reached_and_seen(
    deps: ObservedDeps, tenant: Tenant, admin: httpx.AsyncClient, talk: Talk, world: Held
) -> None:
    seen: set[str] = set()

    async def at(status: str, run: int = -1) -> dict[str, Any]:
        found = await talk.is_at(status, run)
        seen.add(status)
        return found

    required = {"planApprovalMode": "require", "limits": {"reauthExpiresS": 4}}
    settings = f"{tenant.admin}/projects/{tenant.scope.project_id}/settings"
    assert (await admin.put(settings, json=required)).status_code == 200

    await talk.says("first", EVERYTHING)
    await at("planning", 0)
    await talk.says("second", EVERYTHING)
    queued = await at("queued")
    assert (await talk.acts(action="cancel", runId=queued["id"])).status_code == 202
    await at("cancelled")

    world.planning.set()
    asked = await at("awaiting_slots", 0)
    assert asked["pending"]["kind"] == "slots"
    assert (await talk.acts(action="fill_slots", values={"city": "Oslo"})).status_code == 202
    asked = await at("awaiting_confirmation", 0)
    assert (await talk.acts(action="approve", planHash=asked["planHash"])).status_code == 202
    await at("executing", 0)
    world.calling.set()
    asked = await at("awaiting_external_signal", 0)
    assert asked["pending"]["kind"] == "signal"
    signal = await talk.signal("paid")
    headers = {"Authorization": f"Bearer {signal['bearerToken']}"}
    assert (await talk.client.post(signal["callbackPath"], json={}, headers=headers)).status_code == 200
    asked = await at("awaiting_reauth", 0)
    assert (asked["pending"]["kind"], asked["pending"]["reason"]) == ("reauth", "credential_refused")
    world.let_in = True
    assert (await talk.client.put(f"{talk.path}/secrets", json={"secrets": {"KEY": "new"}})).status_code == 204
    await at("completed", 0)

    auto = {"planApprovalMode": "auto", "limits": {"reauthExpiresS": 2}}
    assert (await admin.put(settings, json=auto)).status_code == 200
    await _ends(talk, at, world)
    assert seen == {status.value for status in RunStatus}
    statuses = {event["status"] for event in await talk.events("run_status")}
    assert statuses == seen
    assert await _streamed(deps, talk, until=len(await talk.events("done"))) == seen


async def _ends(talk: Talk, at: Any, world: Held) -> None:
    """The ends that the first run did not come to."""
    await talk.says("fail", plan(Fail(id="n1", expr=Lit(value="no"))))
    await at("failed")
    world.let_in = False
    await talk.says("interrupt", _one("guarded"))
    ended = await at("interrupted")
    assert ended["reason"] == "reauth_expired"
    await talk.says("recover", _one("lose"))
    asked = await at("needs_manual_recovery")
    assert asked["pending"]["kind"] == "recovery"
    early = await talk.acts(action="resolve", resolution="retry")
    assert early.status_code == 409
    assert (await talk.acts(action="resolve", resolution="mark_done", result="known")).status_code == 202
    await at("completed")


def _one(tool: str) -> Plan:
    return plan(call("n1", tool, "x"), reply(var("x")))


async def _streamed(deps: ObservedDeps, talk: Talk, until: int) -> set[str]:
    """The statuses on the stream, from its beginning to so many ends."""
    statuses: set[str] = set()
    headers = {"Authorization": talk.client.headers["Authorization"]}
    async with (
        serving(deps) as url,
        httpx.AsyncClient(base_url=url, headers=headers) as viewer,
        viewer.stream("GET", f"{talk.path}/chat") as response,
        asyncio.timeout(10),
    ):
        async for event in events(response):
            if event.event == "run_status":
                statuses.add(event.data["status"])
            until -= event.event == "done"
            if not until:
                return statuses
    raise AssertionError("the stream ended")


async def test_a_call_refused_for_a_credential_that_was_replaced_meanwhile_is_made_again(
    talk: Talk, tenant: Tenant, admin: httpx.AsyncClient, world: Held
) -> None:
    """The whole project's: the run does not wait for one yet when it is put, and nobody would tell it again."""
    world.planning.set()
    world.refuse_late = True
    await talk.says("rotate", _one("guarded"))
    await talk.saw("tool_start")
    path = f"{tenant.admin}/projects/{tenant.scope.project_id}/secrets"
    assert (await admin.put(path, json={"secrets": {"KEY": "new"}})).status_code == 204
    world.calling.set()
    assert (await talk.saw("done"))["reply"] == "in"


async def test_two_operators_at_once_are_told_apart(talk: Talk, world: Held) -> None:
    world.planning.set()
    await talk.says("recover", _one("lose"))
    await talk.is_at("needs_manual_recovery")
    answers = await asyncio.gather(
        *(talk.acts(action="resolve", resolution="mark_done", result=result) for result in ("one", "two"))
    )
    done = await talk.saw("done")
    assert done["reply"] in {"one", "two"}
    if all(answer.status_code == 202 for answer in answers):
        refused = await talk.saw("action_refused")
        assert refused["action"] == "resolve"
    else:  # the host was faster than the second request
        assert sorted(answer.status_code for answer in answers) == [202, 409]


async def test_a_call_lost_in_a_session_that_was_closed_meanwhile_is_still_resolved(
    talk: Talk, world: Held, deps: ObservedDeps
) -> None:
    world.planning.set()
    world.lose_late = True
    await talk.says("recover", _one("lose"))
    await talk.saw("tool_start")
    assert (await talk.client.patch(talk.path, json={"status": "closed"})).status_code == 200

    async def is_applied() -> bool:
        return not await deps.database.fetchval("SELECT count(*) FROM commands WHERE consumed_at IS NULL")

    await eventually(is_applied, what="the session's end, before the call's")
    world.calling.set()
    await talk.is_at("needs_manual_recovery")
    assert (await talk.acts(action="resolve", resolution="mark_done", result="known")).status_code == 202
    await talk.is_at("cancelled")
    assert (await talk.acts(action="resolve", resolution="fail")).status_code == 409

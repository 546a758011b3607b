"""What the planner is shown: names of secrets, never their values; and a policy as it stands now."""

from pathlib import Path

import pytest

from models.events import EventType
from models.tools import ApprovalPolicy, IntegrationState
from planvault.ports import CallTarget
from planvault.storage.pool import Pool
from planvault.storage.secrets import PostgresSecrets
from tests.integration.runtime.harness import CatalogTwin, Platform, World, open_platform
from tests.unit.engine.plans import ONE_CALL

CANARY = "canary-7f3a9c51"


@pytest.fixture
async def platform(pool: Pool, keys: Path) -> Platform:
    world = World(ONE_CALL)
    world.tool("get", lambda call: {"name": "Ada"})
    opened = await open_platform(pool, keys, world)
    opened.quick = True
    return opened


async def test_a_secret_s_value_typed_into_the_prompt_does_not_reach_the_planner(platform: Platform) -> None:
    session = await platform.session()
    await PostgresSecrets(platform.pool, platform.keyring, platform.ids).put(session, {"TOKEN": CANARY})
    async with platform.host("a"):
        await platform.says(session, f"log in with {CANARY} please")
        await platform.saw(session, EventType.DONE)
    [request] = platform.world.planned
    assert request.secret_names == ("TOKEN",)
    assert CANARY not in request.model_dump_json()
    assert request.prompt.startswith("log in with ")


async def test_a_scenarios_instruction_speaks_of_the_session_and_holds_no_secret(platform: Platform) -> None:
    platform.world.instruction = "Answer in {{language}}, as {{role}}; the pass word is {{word}}."
    session = await platform.session({"language": "French", "word": CANARY})
    await PostgresSecrets(platform.pool, platform.keyring, platform.ids).put(session, {"TOKEN": CANARY})
    async with platform.host("a"):
        await platform.says(session)
        await platform.saw(session, EventType.DONE)
    [request] = platform.world.planned
    assert request.instruction.startswith("Answer in French, as (role: not given); the pass word is ")
    assert CANARY not in request.model_dump_json()


async def test_an_approval_policy_set_a_moment_ago_counts_for_the_next_plan(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies = iter([None, ApprovalPolicy.ALWAYS])
    original = CatalogTwin.binding

    async def binding(self: CatalogTwin, scope, tool) -> CallTarget:  # type: ignore[no-untyped-def]
        target = await original(self, scope, tool)
        state = IntegrationState(approval_policy=next(policies, ApprovalPolicy.ALWAYS))
        return CallTarget(target.base_url, state, target.egress)

    monkeypatch.setattr(CatalogTwin, "binding", binding)
    async with platform.host("a"):
        session = await platform.session(auto_approve_plan=True)
        await platform.says(session)
        await platform.saw(session, EventType.DONE)
        await platform.says(session)
        await platform.saw(session, EventType.CONFIRM_PLAN_REQUIRED)

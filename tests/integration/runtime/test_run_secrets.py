"""What a service remembers of one call and tells in another is masked like what it tells at once."""

from pathlib import Path
from typing import Any

import pytest

from models.events import EventType
from models.plans import Plan, SecretRef, Text
from models.policies import EgressPolicy
from models.tools import IntegrationState, ToolSucceeded
from planvault.ports import CallTarget, ToolCall
from planvault.storage.pool import Pool
from planvault.storage.secrets import PostgresSecrets
from tests.integration.runtime.harness import CatalogTwin, Platform, World, open_platform
from tests.unit.engine.plans import call, plan, reply, var

GIVEN, HEADER, UNUSED = "given-canary-0001", "header-canary-0002", "unused-canary-0003"
STORE_THEN_READ: Plan = plan(
    call("n1", "store", None, what=Text(parts=(SecretRef(name="GIVEN"), SecretRef(name="GONE")))),
    call("n2", "read", "x"),
    reply(var("x")),
)


@pytest.fixture
async def platform(pool: Pool, keys: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    async def binding(self: CatalogTwin, scope: Any, tool: Any) -> CallTarget:
        state = IntegrationState(auth_headers={"X-Auth": "Token {{secrets.HEADER}}"})
        return CallTarget("http://service", state, EgressPolicy())

    monkeypatch.setattr(CatalogTwin, "binding", binding)
    world = World(STORE_THEN_READ)
    world.tool("store", lambda _: None)
    world.tool("read", lambda call: ToolSucceeded(value="read"))
    opened = await open_platform(pool, keys, world)
    opened.quick = True
    return opened


async def masked(platform: Platform, host: str) -> list[ToolCall]:
    session = await platform.session()
    secrets = PostgresSecrets(platform.pool, platform.keyring, platform.ids)
    await secrets.put(session, {"GIVEN": GIVEN, "HEADER": HEADER, "UNUSED": UNUSED})
    platform.world.calls.clear()
    async with platform.host(host):
        await platform.says(session)
        await platform.saw(session, EventType.DONE)
    return platform.world.calls


async def test_every_call_of_a_run_knows_the_secrets_of_all_its_calls_and_no_others(platform: Platform) -> None:
    made_calls = await masked(platform, "a")
    assert {made.tool.name for made in made_calls} == {"store", "read"}
    for made in made_calls:
        assert set(made.masked) == {GIVEN, HEADER}, made.tool.name

"""The API with real session hosts behind it, on one database; services and the planner are twins."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from models.plans import Plan
from models.policies import PlanApprovalMode, ProjectSettings
from models.tools import Idempotency
from planvault.storage.keys import PostgresKeyring
from tests.integration.runtime.harness import Platform, World, eventually
from tests.integration.serve_apps.conftest import ObservedDeps, Tenant


@dataclass
class Talk:
    """One session, spoken to over the public API only."""

    client: httpx.AsyncClient
    base: str
    id: str
    world: World

    @property
    def path(self) -> str:
        return f"{self.base}/sessions/{self.id}"

    async def says(self, text: str, plan: Plan) -> None:
        self.world.plan = plan
        answer = await self.client.post(f"{self.path}/messages", json={"message": text})
        assert answer.status_code == 202, answer.text

    async def acts(self, **action: Any) -> httpx.Response:
        return await self.client.post(f"{self.path}/actions", json=action)

    async def runs(self) -> list[dict[str, Any]]:
        """Oldest first."""
        items: list[dict[str, Any]] = (await self.client.get(f"{self.path}/runs")).json()["items"]
        return items[::-1]

    async def events(self, kind: str) -> list[dict[str, Any]]:
        events = (await self.client.get(f"{self.path}/history")).json()["events"]
        return [event for event in events if event["eventType"] == kind]

    async def is_at(self, status: str, run: int = -1) -> dict[str, Any]:
        """Wait until a run (by default the newest) has the status; the run."""
        found: dict[str, Any] = {}

        async def there() -> bool:
            runs = await self.runs()
            if runs and runs[run]["status"] == status:
                found.update(runs[run])
            return bool(found)

        await eventually(there, what=f"a run that is {status}")
        return found

    async def saw(self, kind: str, times: int = 1) -> dict[str, Any]:
        """Wait until the history holds the event so often; the newest."""

        async def there() -> bool:
            return len(await self.events(kind)) >= times

        await eventually(there, what=f"{kind} ×{times}")
        return (await self.events(kind))[-1]

    async def signal(self, name: str) -> dict[str, Any]:
        """What a holder of the session's key learns of an open signal."""
        items = (await self.client.get(f"{self.path}/signals")).json()["items"]
        [found] = [item for item in items if item["name"] == name]
        assert isinstance(found, dict)
        return found


def platform_of(deps: ObservedDeps, tenant: Tenant, world: World) -> Platform:
    for name in ("sleep", "wait_for_signal"):
        world.tool(name, lambda _: None, Idempotency.DECLARED)
    assert isinstance(deps.keyring, PostgresKeyring)
    platform = Platform(deps.database, deps.keyring, tenant.scope, world, quick=True)
    told = deps.commands.wake

    async def wake(shard: int) -> None:
        await told(shard)
        platform.wake()

    deps.commands.wake = wake  # type: ignore[method-assign]
    return platform


@asynccontextmanager
async def talking(
    deps: ObservedDeps, tenant: Tenant, client: httpx.AsyncClient, world: World, **limits: Any
) -> AsyncIterator[Talk]:
    """A session of the tenant, with one host that runs it."""
    settings = ProjectSettings.model_validate({"plan_approval_mode": PlanApprovalMode.AUTO, "limits": limits})
    await deps.tenants.change_project(tenant.scope, lambda _: settings)
    async with platform_of(deps, tenant, world).host("a"):
        opened = await client.post(f"{tenant.base}/sessions", json={})
        yield Talk(client, tenant.base, opened.json()["id"], world)

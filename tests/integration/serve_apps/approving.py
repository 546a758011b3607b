"""One session of a tenant over the API only, with a real host behind it, whose plan pays 500 to somebody."""

from collections.abc import Callable
from typing import Any

import httpx

from models.events import EventType
from models.plans import FieldAccess, Lit, Text
from models.tools import Idempotency
from tests.integration.runtime.harness import Platform, World, eventually
from tests.integration.serve_apps.conftest import ObservedDeps, Tenant
from tests.unit.engine.plans import call, plan, reply, var

PAY = plan(
    call("n1", "lookup", "who"),
    call("n2", "pay", "x", amount=Lit(value=500), to=FieldAccess(base=var("who"), key="name")),
    reply(Text(parts=(Lit(value="paid "), FieldAccess(base=var("who"), key="name")))),
)
BIG = {"id": "big", "tools": ["pay"], "when": "args.amount > 100", "message": "Large payment"}


class Chat:
    """One session of the tenant's project, spoken to over the API only."""

    def __init__(self, client: httpx.AsyncClient, url: str, wake: Callable[[], None]) -> None:
        self._client = client
        self.url = url
        self._wake = wake

    async def says(self, text: str = "pay ada", operator: str = "") -> None:
        answer = await self._client.post(f"{self.url}/messages", json={"message": text}, headers=_as(operator))
        assert answer.status_code == 202
        self._wake()

    async def acts(self, action: str, operator: str = "", **fields: Any) -> httpx.Response:
        body = {"action": action, **fields}
        answer = await self._client.post(f"{self.url}/actions", json=body, headers=_as(operator))
        self._wake()
        return answer

    def through(self, client: httpx.AsyncClient) -> "Chat":
        """The same session, spoken to with another credential."""
        return Chat(client, self.url, self._wake)

    async def history(self) -> list[dict[str, Any]]:
        answer = await self._client.get(f"{self.url}/history")
        assert answer.status_code == 200
        events: list[dict[str, Any]] = answer.json()["events"]
        return events

    async def saw(self, kind: EventType, times: int = 1) -> dict[str, Any]:
        """The payload of the last event of this kind, once there are so many."""
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            found[:] = [event["payload"] for event in await self.history() if event["eventType"] == kind.value]
            return len(found) >= times

        await eventually(there, what=f"{kind.value} ×{times}")
        return found[-1]

    async def run(self) -> dict[str, Any]:
        run: dict[str, Any] = (await self._client.get(f"{self.url}/runs")).json()["items"][0]
        return run


def _as(operator: str) -> dict[str, str]:
    return {"X-Operator-Id": operator} if operator else {}


class Setup:
    def __init__(self, deps: ObservedDeps, tenant: Tenant, client: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
        self.world = World(PAY)
        self.world.tool("lookup", lambda call: {"name": "Ada"})
        self.world.tool("pay", lambda call: {"ok": True}, Idempotency.NONE)
        self.platform = Platform(deps.database, deps.keyring, tenant.scope, self.world)  # type: ignore[arg-type]
        self.platform.quick = True  # the host of the test before has the shards of their common database
        self.tenant, self.client, self.admin = tenant, client, admin

    async def policy(self, mode: str = "auto", **runtime_policy: Any) -> httpx.Response:
        url = f"{self.tenant.admin}/projects/{self.tenant.scope.project_id}/settings"
        return await self.admin.put(url, json={"planApprovalMode": mode, "runtimePolicy": runtime_policy})

    async def rules(self, *rules: dict[str, Any], **runtime_policy: Any) -> None:
        answer = await self.policy(runtimeApproval={"rules": list(rules)}, **runtime_policy)
        assert answer.status_code == 200, answer.text

    async def chat(self, **body: Any) -> Chat:
        answer = await self.client.post(f"{self.tenant.base}/sessions", json=body)
        return Chat(self.client, f"{self.tenant.base}/sessions/{answer.json()['id']}", self.platform.wake)

    async def audit(self, **query: Any) -> list[dict[str, Any]]:
        answer = await self.admin.get(f"{self.tenant.admin}/audit", params=query)
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["items"]
        return rows

    @property
    def paid(self) -> int:
        return sum(call.tool.name == "pay" for call in self.world.calls)

"""Rate limits over HTTP: two replicas of the application over one database, and no Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import asyncpg
import httpx
import pytest

from models import access
from models.rate_limits import LimitName, Quota, RateLimits
from planvault.clock import SystemClock
from planvault.settings import Settings
from planvault.storage.pool import Role, open_pool
from planvault.storage.rates import PostgresRates
from planvault.storage.retention import Retention, rules
from serve_apps.limits.bucket import share
from tests.integration.serve_apps.conftest import (
    ADMIN,
    ObservedDeps,
    OneHotEmbedder,
    Tenant,
    application,
    client_for,
    make_tenant,
    observed,
)

LIMITS = "key.requests=40/3600, organization.requests=60/3600, key.selections=3/3600, address.unknown=12/3600, " \
    "address.open=15/3600, credential.refused=8/3600, key.streams=2/3600"  # fmt: skip


@dataclass
class Replica:
    deps: ObservedDeps
    transport: httpx.ASGITransport

    def client(self, headers: dict[str, str], address: str = "192.0.2.1") -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.transport.app, raise_app_exceptions=False, client=(address, 4711))
        return httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers)


@asynccontextmanager
async def replica(settings: Settings) -> AsyncIterator[Replica]:
    async with observed(settings, OneHotEmbedder(), {}) as deps:
        yield Replica(deps, httpx.ASGITransport(application(deps)))


@pytest.fixture
async def two(settings: Settings, deps: ObservedDeps) -> AsyncIterator[tuple[Replica, Replica]]:
    """Each with pools of its own; nothing is between them but the database."""
    chosen = settings.model_copy(update={"rate_limits": LIMITS})
    async with AsyncExitStack() as stack:
        await deps.database.execute("DELETE FROM rate_buckets")
        yield await stack.enter_async_context(replica(chosen)), await stack.enter_async_context(replica(chosen))


async def statuses(clients: list[httpx.AsyncClient], path: str, number: int) -> list[int]:
    """Of `number` requests at once, over the clients in turn."""
    calls = [clients[turn % len(clients)].get(path) for turn in range(number)]
    return [answer.status_code for answer in await asyncio.gather(*calls)]


async def test_a_keys_limit_holds_for_two_replicas_together(two: tuple[Replica, Replica], tenant: Tenant) -> None:
    clients = [each.client(tenant.auth) for each in two]
    quota = Quota(requests=40, seconds=3_600)
    passed = 0
    for _ in range(4):
        passed += (await statuses(clients, f"{tenant.base}/sessions", 50)).count(200)
    assert 40 <= passed <= 40 + 2 * share(quota)
    refused = await clients[0].get(f"{tenant.base}/sessions")
    assert refused.status_code == 429
    assert refused.json()["type"] == "urn:planvault:problem:RATE_LIMITED"
    assert refused.headers["ratelimit-policy"] == '"key.requests";q=40;w=3600'
    assert refused.headers["ratelimit"] == f'"key.requests";r=0;t={refused.headers["retry-after"]}'
    assert 1 <= int(refused.headers["retry-after"]) <= 90 * (1 + 2 * share(quota))


async def test_an_answer_says_what_is_left(two: tuple[Replica, Replica], tenant: Tenant) -> None:
    client = two[0].client(tenant.auth)
    lefts = [(await client.get(f"{tenant.base}/sessions")).headers["ratelimit"] for _ in range(3)]
    assert [left.partition(";t=")[0] for left in lefts] == [f'"key.requests";r={left}' for left in (39, 38, 37)]


async def test_the_keys_of_an_organisation_share_its_limit_and_no_other_ones(
    deps: ObservedDeps, two: tuple[Replica, Replica], tenant: Tenant, stranger: Tenant
) -> None:
    _, second = await deps.api_keys.create(tenant.scope, "second", [access.ALL_OF_PROJECT])
    path = f"{tenant.base}/sessions"
    first = await statuses([two[0].client(tenant.auth)], path, 40)
    other = await statuses([two[1].client({"Authorization": f"Bearer {second.text}"})], path, 40)
    assert first.count(200) == 40
    assert 20 <= other.count(200) <= 20 + 2 * share(Quota(requests=60, seconds=3_600))
    assert await statuses([two[0].client(stranger.auth)], f"{stranger.base}/sessions", 40) == [200] * 40


async def test_the_operator_is_not_kept_out_by_a_tenant(two: tuple[Replica, Replica], tenant: Tenant) -> None:
    await statuses([two[0].client(tenant.auth)], f"{tenant.base}/sessions", 100)
    operator = two[0].client({"Authorization": f"Bearer {ADMIN.text}"})
    assert (await operator.get(f"{tenant.admin}/projects")).status_code == 200


async def test_a_costly_route_has_a_smaller_limit(two: tuple[Replica, Replica], tenant: Tenant) -> None:
    client = two[0].client(tenant.auth)
    answers = [await client.post(f"{tenant.base}/tools/test-selection", json={"query": "orders"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].headers["ratelimit-policy"] == '"key.selections";q=3;w=3600'
    assert (await client.get(f"{tenant.base}/sessions")).status_code == 200


async def test_guesses_count_by_address_and_do_not_keep_out_who_is_known(
    two: tuple[Replica, Replica], tenant: Tenant
) -> None:
    path = f"{tenant.base}/sessions"
    here = two[0].client(tenant.auth)
    assert (await here.get(path)).status_code == 200
    guessed: list[int] = []
    for number in range(30):
        guess = {"Authorization": f"Bearer sk_live_{number:043d}"}
        guessed.append((await two[number % 2].client(guess).get(path)).status_code)
    assert 12 <= guessed.count(401) <= 12 + 2
    assert guessed[-1] == 429
    assert (await here.get(path)).status_code == 200  # from the same address
    assert (await two[0].client({}, "192.0.2.2").get(path)).status_code == 401  # from another
    assert (await two[0].client({}).get(path)).status_code == 429


async def test_credentials_that_pass_do_not_count_for_their_address(
    deps: ObservedDeps, two: tuple[Replica, Replica], tenant: Tenant
) -> None:
    for number in range(20):
        _, key = await deps.api_keys.create(tenant.scope, f"of office {number}", [access.ALL_OF_PROJECT])
        answer = await two[0].client({"Authorization": f"Bearer {key.text}"}).get(f"{tenant.base}/sessions")
        assert answer.status_code == 200


async def test_a_known_caller_that_tries_what_is_not_its_own_is_slowed(
    two: tuple[Replica, Replica], tenant: Tenant, stranger: Tenant
) -> None:
    client = two[0].client(tenant.auth)
    assert (await client.get(f"{tenant.base}/sessions")).status_code == 200
    tried = [(await client.get(f"{stranger.base}/sessions")).status_code for _ in range(12)]
    assert tried == [404] * 8 + [429] * 4


async def test_wrong_secrets_of_an_open_route_are_guesses_and_health_is_for_everybody(
    two: tuple[Replica, Replica], tenant: Tenant
) -> None:
    client = two[0].client({"Authorization": f"Bearer {UUID(int=7)}:guess"})
    path = f"{tenant.base}/callbacks/{UUID(int=7)}"
    tried = [(await client.post(path, json={})).status_code for _ in range(14)]
    assert tried == [404] * 12 + [429] * 2
    assert {(await client.get("/health")).status_code for _ in range(40)} <= {200, 503}


async def test_open_routes_have_a_limit_an_address(two: tuple[Replica, Replica]) -> None:
    found = [(await two[0].client({}).get("/api/openapi.json")).status_code for _ in range(17)]
    assert found == [200] * 15 + [429] * 2


async def test_streams_of_a_key_are_bounded(deps: ObservedDeps, two: tuple[Replica, Replica], tenant: Tenant) -> None:
    async with client_for(deps, tenant.auth) as opener:
        session = (await opener.post(f"{tenant.base}/sessions", json={})).json()["id"]
    limits = two[0].deps.limits
    assert limits is not None
    quota = limits.deployment[LimitName.KEY_STREAMS]
    async with asyncio.TaskGroup() as group:
        held = [group.create_task(_hold(two[0], tenant, session)) for _ in range(2)]
        holder = f"project_key:{(await deps.api_keys.all(tenant.scope))[0].id}"
        async with asyncio.timeout(5):
            while not limits.streams.is_full(holder, quota):
                await asyncio.sleep(0)
        answer = await two[0].client(tenant.auth).get(f"{tenant.base}/sessions/{session}/chat")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        for task in held:
            task.cancel()
    assert not limits.streams.is_full(holder, quota)


async def _hold(at: Replica, tenant: Tenant, session: str) -> None:
    await at.client(tenant.auth).get(f"{tenant.base}/sessions/{session}/chat")


async def test_an_organisation_chooses_for_itself_and_for_single_keys(
    deps: ObservedDeps, two: tuple[Replica, Replica]
) -> None:
    tenant = await make_tenant(deps)
    slow, key = await deps.api_keys.create(tenant.scope, "slow", [access.ALL_OF_PROJECT])
    chosen = RateLimits(
        limits={LimitName.KEY_REQUESTS: Quota(requests=5, seconds=3_600)},
        keys={slow.id: {LimitName.KEY_REQUESTS: Quota(requests=2, seconds=3_600)}},
    )
    await deps.tenants.change_organization(tenant.scope, lambda old: old.model_copy(update={"rate_limits": chosen}))
    path = f"{tenant.base}/sessions"
    assert [(await two[0].client(tenant.auth).get(path)).status_code for _ in range(6)] == [200] * 5 + [429]
    auth = {"Authorization": f"Bearer {key.text}"}
    assert [(await two[0].client(auth).get(path)).status_code for _ in range(3)] == [200] * 2 + [429]


async def test_a_database_that_does_not_know_leaves_each_replica_to_its_own_limit(
    two: tuple[Replica, Replica], tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> dict[bytes, float]:
        raise ConnectionError("away")

    monkeypatch.setattr(PostgresRates, "take", gone)
    for each in two:
        passed = await statuses([each.client(tenant.auth)], f"{tenant.base}/sessions", 60)
        assert passed.count(200) == 40
        assert set(passed) == {200, 429}


async def test_a_bucket_in_postgres_fills_again_and_forgives_no_debt(deps: ObservedDeps) -> None:
    rates = PostgresRates(deps.pool)
    one, other = b"a" * 16, b"b" * 16
    assert (await rates.take({one: 10.0, other: 0.0}))[one] == pytest.approx(10.0, abs=0.01)
    assert (await rates.take({one: 50.0}))[one] == pytest.approx(60.0, abs=1)
    await deps.database.execute("UPDATE rate_buckets SET full_at = full_at - interval '40 seconds'")
    found = await rates.take({one: 0.0, other: 5.0})
    assert found == {one: pytest.approx(20.0, abs=1), other: pytest.approx(5.0, abs=0.01)}
    assert (await rates.take({one: -500.0}))[one] <= 0
    assert (await rates.take({one: 1.0}))[one] == pytest.approx(1.0, abs=0.01)
    assert (await rates.take({one: 1e9}))[one] == pytest.approx(86_400.0, abs=1)


async def test_the_api_sees_nothing_of_the_buckets_but_through_their_function(deps: ObservedDeps) -> None:
    for statement in (
        "SELECT * FROM rate_buckets",
        "DELETE FROM rate_buckets",
        "UPDATE rate_buckets SET full_at = now()",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await deps.pool.execute(statement)


async def test_off_is_off(settings: Settings, deps: ObservedDeps, tenant: Tenant) -> None:
    assert replace(deps).limits is None
    async with client_for(deps, tenant.auth) as client:
        assert "ratelimit" not in (await client.get(f"{tenant.base}/sessions")).headers


async def test_an_organisation_may_choose_less_than_the_deployment_and_an_operator_more(
    deps: ObservedDeps, two: tuple[Replica, Replica], tenant: Tenant
) -> None:
    path = f"{tenant.admin}/settings"
    operator = two[0].client({"Authorization": f"Bearer {ADMIN.text}"})
    issued = await operator.post(f"{tenant.admin}/service-tokens", json={"name": "settings", "role": "ADMIN"})
    own = two[0].client({"Authorization": f"Bearer {issued.json()['token']}"})
    more = {"rateLimits": {"limits": {"key.requests": {"requests": 41, "seconds": 3_600}}}}
    refused = await own.put(path, json=more)
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/rateLimits/limits/key.requests"]
    less = {"rateLimits": {"keys": {str(UUID(int=7)): {"key.requests": {"requests": 5, "seconds": 3_600}}}}}
    assert (await own.put(path, json=less)).status_code == 200
    assert (await operator.put(path, json=more)).status_code == 200
    assert (await own.put(path, json=more)).status_code == 200  # as the operator has chosen


async def test_a_limit_that_is_the_deployments_own_is_nobodys_to_choose(
    admin: httpx.AsyncClient, tenant: Tenant
) -> None:
    for name in ("address.unknown", "credential.refused", "key.nonsense"):
        body = {"rateLimits": {"limits": {name: {"requests": 5, "seconds": 60}}}}
        assert (await admin.put(f"{tenant.admin}/settings", json=body)).status_code == 422


async def test_buckets_that_are_full_again_are_pruned(deps: ObservedDeps) -> None:
    rates = PostgresRates(deps.pool)
    await deps.database.execute("DELETE FROM rate_buckets")
    await rates.take({b"o" * 16: 1.0, b"n" * 16: 100.0})
    await deps.database.execute("UPDATE rate_buckets SET full_at = full_at - interval '90 seconds'")
    async with await open_pool(deps.settings.database_url, name="pruner", role=Role.PLATFORM) as platform:
        buckets = next(rule for rule in rules(timedelta(days=1)) if rule.name == "rate_buckets")
        assert await Retention(platform, [buckets], SystemClock()).sweep() == {"rate_buckets": 1}
    assert [row["subject"] for row in await deps.database.fetch("SELECT subject FROM rate_buckets")] == [b"n" * 16]

"""Erasure over the API: what a person left is nowhere any more, and others keep what is theirs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from actors.privacy_worker import privacy_work
from models.events import EventType
from planvault.settings import Settings
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Role, open_pool
from planvault.storage.privacy_work import PrivacyWork
from planvault.storage.redis_link import open_link
from tests.integration.redis_server import RedisServer
from tests.integration.serve_apps.conftest import (
    ObservedDeps,
    OneHotEmbedder,
    Tenant,
    _ready,
    client_for,
    make_tenant,
    observed,
    open_session,
)
from tests.integration.serve_apps.privacy import (
    ADA,
    AS_ADMIN,
    AT_ONCE,
    PROMPT,
    all_done,
    erase,
    leaves_everything,
    searched,
    work,
)
from tests.integration.serve_apps.residue import everything_of, nearest

__all__ = ["work"]

pytestmark = pytest.mark.postgres


async def test_after_an_erasure_nothing_that_still_opens_names_the_person_or_holds_their_words(
    deps: ObservedDeps, client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    left = await leaves_everything(deps, client, tenant)
    before = await searched(deps, tenant)
    assert len(before.found) >= 12, "the search must find what is there, or its silence means nothing"
    assert before.unopened == []
    made = await erase(admin, tenant, target="external_user", externalUserId=ADA)
    await all_done(work)
    after = await searched(deps, tenant)
    assert after.found == []
    assert after.unopened == []
    [vector] = await OneHotEmbedder().embed([PROMPT])
    assert max((await nearest(deps.database, vector)).values()) < 0.5
    session_id = left.session.scope.session_id
    assert await everything_of(deps.database, session_id) == ["erased_sessions"]
    done = (await admin.get(f"{tenant.admin}/gdpr/erasures/{made['id']}")).json()
    assert done["state"] == "completed", done
    assert done["counts"]["sessions"] == 1
    assert done["counts"]["events"] == 3
    assert done["counts"]["data_keys"] == 1
    assert done["counts"]["idempotency"] == 3
    audit = (await admin.get(f"{tenant.admin}/audit", params={"action": "GDPR_ERASED"})).json()["items"]
    assert [row["details"]["subjects"] for row in audit] == [done["subjects"]]
    verified = await admin.get(f"{tenant.admin}/audit/verify")
    assert verified.json()["ok"], "blanked details leave the chain whole"


async def test_others_keep_what_is_theirs(
    deps: ObservedDeps, client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    await leaves_everything(deps, client, tenant)
    grace = await open_session(deps, client, tenant, externalUserId="grace", contextVars={"likes": "compilers"})
    nobody = await open_session(deps, client, tenant, contextVars={"likes": "nothing"})
    for session in (grace, nobody):
        await session.event(EventType.PROMPT, {"content": "what is theirs"})
    await erase(admin, tenant, target="external_user", externalUserId=ADA)
    await all_done(work)
    for session in (grace, nobody):
        path = f"{tenant.base}/sessions/{session.scope.session_id}"
        assert (await client.get(path)).json()["contextVars"]["likes"]
        assert "what is theirs" in (await client.get(f"{path}/history")).text


async def test_nothing_new_of_the_person_is_made_while_they_are_erased_and_afterwards_they_may_come_back(
    deps: ObservedDeps, client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    await leaves_everything(deps, client, tenant)
    await erase(admin, tenant, target="external_user", externalUserId=ADA)
    refused = await client.post(f"{tenant.base}/sessions", json={"externalUserId": ADA})
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("ERASURE_UNDER_WAY")
    job = {"prompt": "x", "delaySeconds": 60, "externalUserId": ADA}
    assert (await client.post(f"{tenant.base}/scheduled-jobs", json=job)).status_code == 409
    assert (await client.post(f"{tenant.base}/sessions", json={"externalUserId": "grace"})).status_code == 201
    await all_done(work)
    # Settling is longer than a replica keeps the key that was destroyed; here nobody waits.
    assert isinstance(deps.keyring, PostgresKeyring)
    for subject in await deps.keyring.pseudonyms(tenant.scope.org_id, ADA):
        deps.keyring.forget_user(tenant.scope.org_id, subject)
    again = await open_session(deps, client, tenant, externalUserId=ADA, contextVars={"fresh": "start"})
    found = await client.get(f"{tenant.base}/sessions/{again.scope.session_id}")
    assert found.json()["contextVars"] == {"fresh": "start"}


async def test_a_session_that_is_made_at_the_moment_of_the_request_is_refused_or_erased(
    deps: ObservedDeps, client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    path, body = f"{tenant.base}/sessions", {"externalUserId": ADA}
    asked = [client.post(path, json=body) for _ in range(8)]
    asked.insert(4, admin.post(f"{tenant.admin}/gdpr/erasures", json={"target": "external_user"} | body))
    statuses = {answer.status_code for answer in await asyncio.gather(*asked)}
    assert statuses <= {201, 202, 409}
    await all_done(work)
    left = "SELECT count(*) FROM sessions WHERE org_id = $1"
    assert await deps.database.fetchval(left, tenant.scope.org_id) == 0


async def test_an_append_of_what_a_host_still_remembers_is_refused_by_the_database(
    deps: ObservedDeps, client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    left = await leaves_everything(deps, client, tenant)
    await erase(admin, tenant, target="external_user", externalUserId=ADA)
    await all_done(work)
    with pytest.raises(Exception, match="erased"):
        await left.session.event(EventType.LLM_REPLY, {"content": "from memory"}, tell=False)
    place = left.session.scope.session_id
    assert await deps.database.fetchval("SELECT count(*) FROM events WHERE session_id = $1", place) == 0


async def test_a_request_for_the_same_joins_the_one_under_way_and_one_that_has_not_begun_can_be_cancelled(
    deps: ObservedDeps, client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    await leaves_everything(deps, client, tenant)
    first = await erase(admin, tenant, target="external_user", externalUserId=ADA)
    second = await erase(admin, tenant, target="external_user", externalUserId=ADA)
    assert first["id"] == second["id"]
    cancel = f"{tenant.admin}/gdpr/erasures/{first['id']}/cancel"
    assert (await admin.post(cancel)).json()["state"] == "cancelled"
    assert (await admin.post(cancel)).status_code == 409
    assert (await client.post(f"{tenant.base}/sessions", json={"externalUserId": ADA})).status_code == 201
    await all_done(work)
    assert (await searched(deps, tenant)).found


async def test_redis_forgets_the_answers_too_and_an_erasure_waits_while_redis_is_away(
    settings: Settings, tmp_path: Path
) -> None:
    server = RedisServer(tmp_path)
    server.start()
    configured = settings.model_copy(update={"redis_url": server.url})
    probes = {"embedder": _ready, "planner": _ready}
    try:
        async with (
            observed(configured, OneHotEmbedder(), probes) as deps,
            await open_pool(settings.platform_url, name="privacy", maximum=3, role=Role.PLATFORM) as pool,
            await open_pool(settings.platform_url, name="keys", maximum=1, role=Role.PLATFORM) as keys,
            open_link(server.url) as link,
        ):
            assert link is not None
            tenant = await make_tenant(deps)
            work = privacy_work(configured, pool, keys, link, AT_ONCE)
            async with client_for(deps, tenant.auth) as client, client_for(deps, AS_ADMIN) as admin:
                await leaves_everything(deps, client, tenant)
                answers = [key for key in server.client().keys() if b"answer" in key]  # noqa: SIM118 - a command
                assert len(answers) == 3
                made = await erase(admin, tenant, target="external_user", externalUserId=ADA)
                path = f"{tenant.admin}/gdpr/erasures/{made['id']}"
                server.freeze()
                await all_done(work)
                told = (await admin.get(path)).json()
                assert (told["state"], told["stage"]) == ("running", "answers_again"), told
                assert "Redis" in told["error"]
                server.thaw()
                async with asyncio.timeout(15):
                    while not link.is_up:
                        await asyncio.sleep(0.02)
                await deps.database.execute("UPDATE privacy_requests SET leased_until = NULL WHERE id = $1", made["id"])
                await all_done(work)
                assert (await admin.get(path)).json()["state"] == "completed"
                assert set(server.client().mget(answers)) == {b""}  # and no place for a late answer
    finally:
        server.kill()


async def test_the_erasure_of_a_project_leaves_the_organisation_without_it(
    deps: ObservedDeps, client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    await leaves_everything(deps, client, tenant)
    made = await erase(admin, tenant, target="project", projectId=str(tenant.scope.project_id))
    assert (await client.post(f"{tenant.base}/sessions", json={})).status_code == 409
    await all_done(work)
    assert (await searched(deps, tenant)).found == []
    assert (await admin.get(f"{tenant.admin}/projects")).json()["items"] == []
    done = (await admin.get(f"{tenant.admin}/gdpr/erasures/{made['id']}")).json()
    assert (done["state"], done["counts"]["projects"], done["counts"]["data_keys"]) == ("completed", 1, 1)


@pytest.mark.parametrize(
    "body",
    [
        {"target": "external_user"},
        {"target": "project", "externalUserId": "x"},
        {"target": "organization"},
        {"target": "organization", "confirm": "an organisation", "externalUserId": "x"},
        {"target": "external_user", "externalUserId": "x", "confirm": "an organisation"},
        {"target": "external_user", "externalUserId": "x", "immediately": True},
        {"target": "external_user", "externalUserId": "x", "projectId": str(UUID(int=1))},
    ],
)
async def test_an_erasure_that_does_not_say_of_whom_is_refused(
    admin: httpx.AsyncClient, tenant: Tenant, body: dict[str, object]
) -> None:
    assert (await admin.post(f"{tenant.admin}/gdpr/erasures", json=body)).status_code == 422


async def test_another_organisations_requests_and_projects_are_not_there(
    admin: httpx.AsyncClient, tenant: Tenant, stranger: Tenant
) -> None:
    foreign = {"target": "project", "projectId": str(stranger.scope.project_id)}
    assert (await admin.post(f"{tenant.admin}/gdpr/erasures", json=foreign)).status_code == 404
    made = await erase(admin, tenant, target="external_user", externalUserId=ADA)
    assert (await admin.get(f"{stranger.admin}/gdpr/erasures/{made['id']}")).status_code == 404
    assert (await admin.post(f"{stranger.admin}/gdpr/erasures/{made['id']}/cancel")).status_code == 404

"""Export and erasure over the API: what a person left is given out whole, and then nowhere any more."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from actors.privacy_worker import privacy_work
from models.events import EventType
from models.privacy import RequestKind
from models.results import ResultPlace
from models.runs import RunStatus
from planvault.clock import TimeOrderedIds
from planvault.settings import Settings
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Role, open_pool
from planvault.storage.privacy_erasure import Patience
from planvault.storage.privacy_work import PrivacyWork
from planvault.storage.redis_link import open_link
from retrieval.embedding import EMBEDDING_MODEL
from tests.integration.redis_server import RedisServer
from tests.integration.serve_apps.conftest import (
    ADMIN,
    ObservedDeps,
    OneHotEmbedder,
    Recorder,
    Tenant,
    _ready,
    client_for,
    make_tenant,
    observed,
    open_session,
)
from tests.integration.serve_apps.residue import Residue, Search, everything_of, nearest

pytestmark = pytest.mark.postgres

ADA = "ada.lovelace@example.com"
TEXTS = (
    ADA,
    "order 4711 for my mother",
    "Rosenweg 12 Musterstadt",
    "she wrote back a comment",
    "Kaffeetasse mit Henkel",
)
PROMPT = TEXTS[1]
IDS = TimeOrderedIds()
AS_ADMIN = {"Authorization": f"Bearer {ADMIN.text}"}
AT_ONCE = Patience(grace=timedelta(), settling=timedelta())


@pytest.fixture
async def work(deps: ObservedDeps) -> AsyncIterator[PrivacyWork]:
    url = deps.settings.platform_url
    async with (
        await open_pool(url, name="privacy", maximum=3, role=Role.PLATFORM) as pool,
        await open_pool(url, name="keys", maximum=1, role=Role.PLATFORM) as keys,
    ):
        yield privacy_work(deps.settings, pool, keys, None, AT_ONCE)


async def all_done(work: PrivacyWork) -> None:
    for _ in range(500):
        if not any([await work.once(kind, timedelta()) for kind in RequestKind]):
            return
    raise AssertionError("the work does not end")


@dataclass
class Left:
    """What a person has left behind."""

    session: Recorder
    run_id: UUID
    blob: bytes


async def leaves_everything(deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant, who: str = ADA) -> Left:
    """Something of the person in every place that can hold it."""
    key = {"Idempotency-Key": f"open-{who}"}
    body = {
        "externalUserId": who,
        "contextVars": {"address": TEXTS[2], "email": who},
        "metadata": {"who": who},
        "tags": [f"user:{who}"],
        "secrets": {"TOKEN": "a-secret-of-theirs"},
    }
    answer = await client.post(f"{tenant.base}/sessions", json=body, headers=key)
    assert answer.status_code == 201, answer.text
    session = Recorder(deps, tenant_session(tenant, answer.json()["id"]))
    path = f"{tenant.base}/sessions/{session.scope.session_id}"
    sent = await client.post(
        f"{path}/messages", json={"message": PROMPT}, headers={"Idempotency-Key": "say", "X-Operator-Id": who}
    )
    assert sent.status_code == 202, sent.text
    run_id = await session.run(RunStatus.COMPLETED, pending={"question": TEXTS[2]})
    await session.event(EventType.PROMPT, {"runId": str(run_id), "content": PROMPT, "messageId": str(IDS.new())})
    await session.event(EventType.LLM_REPLY, {"runId": str(run_id), "content": f"Dear {who}, {TEXTS[2]}"})
    await session.event(EventType.SNAPSHOT, {"queue": [], "note": TEXTS[2]}, engine=True)
    voted = await client.post(
        f"{path}/feedback",
        json={"runId": str(run_id), "value": "like", "comment": TEXTS[3]},
        headers={"X-Operator-Id": who},
    )
    assert voted.status_code == 200, voted.text
    booked = await client.post(
        f"{tenant.base}/scheduled-jobs",
        json={"prompt": TEXTS[4], "delaySeconds": 3600, "externalUserId": who, "name": who},
        headers={"Idempotency-Key": "book", "X-Operator-Id": who},
    )
    assert booked.status_code == 201, booked.text
    blob = f"{TEXTS[2]} and more ".encode() * 40_000
    place = ResultPlace(scope=session.scope, run_id=run_id)
    stored = await deps.blobs.write(place, blob, "text/plain", "result")
    await deps.database.execute("UPDATE blobs SET kept = true WHERE id = $1", stored.blob_id)
    await teach(deps, session, run_id, who)
    return Left(session, run_id, blob)


def tenant_session(tenant: Tenant, session_id: str) -> Any:
    from models.ids import SessionId
    from models.tenants import SessionScope

    return SessionScope(**tenant.scope.model_dump(), session_id=SessionId(UUID(session_id)))


async def teach(deps: ObservedDeps, session: Recorder, run_id: UUID, who: str) -> None:
    """An automatic scenario learned from the person's prompt, supported by another person too."""
    [vector] = await OneHotEmbedder().embed([PROMPT])
    subject = await deps.sessions.hashed(session.scope.org_id, who)
    scenario = IDS.new()
    await deps.database.execute(
        "INSERT INTO scenarios (id, org_id, kind, priority, tool_ids, counted_at)"
        " VALUES ($1, $2, 'automatic', 1, ARRAY[$1::uuid], now())",
        scenario,
        session.scope.org_id,
    )
    await deps.database.execute(
        "INSERT INTO scenario_samples (id, org_id, scenario_id, automatic, embedding, embedding_model, run_id,"
        " session_id, subject) VALUES ($1, $2, $3, true, $4, $5, $6, $7, $8)",
        *(
            IDS.new(),
            session.scope.org_id,
            scenario,
            vector,
            EMBEDDING_MODEL,
            run_id,
            session.scope.session_id,
            subject,
        ),
    )
    await deps.database.execute(
        "INSERT INTO scenario_users (scenario_id, org_id, subject) VALUES ($1, $2, $3)",
        *(scenario, session.scope.org_id, subject),
    )


async def searched(deps: ObservedDeps, tenant: Tenant, texts: tuple[str, ...] = TEXTS) -> Residue:
    return await Search(deps.database, deps.settings, tenant.scope.org_id, texts).everywhere()


async def erase(admin: httpx.AsyncClient, tenant: Tenant, **body: object) -> dict[str, Any]:
    answer = await admin.post(f"{tenant.admin}/gdpr/erasures", json=body)
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    return made


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


async def exported(admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork, **body: object) -> tuple[Any, Any]:
    answer = await admin.post(f"{tenant.admin}/gdpr/exports", json=body)
    assert answer.status_code == 202, answer.text
    await all_done(work)
    path = f"{tenant.admin}/gdpr/exports/{answer.json()['id']}"
    told = (await admin.get(path)).json()
    assert told["state"] == "completed", told
    file = await admin.get(f"{path}/file")
    assert file.status_code == 200, file.text
    assert len(file.content) == told["size"]
    assert hashlib.sha256(file.content).hexdigest() == told["sha256"]
    return zipfile.ZipFile(io.BytesIO(file.content)), told


async def test_an_export_holds_everything_that_was_left_and_describes_itself(
    deps: ObservedDeps, client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    left = await leaves_everything(deps, client, tenant)
    stranger = await open_session(deps, client, tenant, externalUserId="grace", contextVars={"likes": "compilers"})
    file, _ = await exported(admin, tenant, work, target="external_user", externalUserId=ADA)
    whole = b"".join(file.read(name) for name in file.namelist()).decode("utf-8", "replace")
    for text in TEXTS:
        assert text in whole
    assert "compilers" not in whole
    assert str(stranger.scope.session_id) not in whole
    assert "a-secret-of-theirs" not in whole
    manifest = json.loads(file.read("manifest.json"))
    assert manifest["externalUserId"] == ADA
    assert set(manifest["files"]) == set(file.namelist()) - {"manifest.json"}
    for name, described in manifest["files"].items():
        assert hashlib.sha256(file.read(name)).hexdigest() == described["sha256"]
        if name.endswith(".json"):
            json.loads(file.read(name))
    folder = f"sessions/{left.session.scope.session_id}"
    [blob] = [name for name in file.namelist() if name.startswith(f"{folder}/blobs/")]
    assert file.read(blob) == left.blob
    assert [each["visibility"] for each in json.loads(file.read(f"{folder}/events.json"))] == ["history"] * 2 + [
        "engine"
    ]
    assert json.loads(file.read("scheduled_jobs.json"))[0]["payload"]["prompt"] == TEXTS[4]


async def test_the_export_of_somebody_never_seen_is_whole_and_empty(
    admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    file, told = await exported(admin, tenant, work, target="external_user", externalUserId="nobody")
    assert told["counts"] == {}
    assert json.loads(file.read("scheduled_jobs.json")) == []
    made = await erase(admin, tenant, target="external_user", externalUserId="nobody")
    await all_done(work)
    assert (await admin.get(f"{tenant.admin}/gdpr/erasures/{made['id']}")).json()["state"] == "completed"


async def test_exports_of_a_project_and_of_the_organisation_hold_what_is_theirs_and_no_credentials(
    deps: ObservedDeps, client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    await leaves_everything(deps, client, tenant)
    secrets = {"secrets": {"API": "hunter2-of-the-organisation"}}
    assert (await admin.put(f"{tenant.admin}/secrets", json=secrets)).status_code == 204
    key = await deps.database.fetchval("SELECT key_sha256 FROM api_keys WHERE org_id = $1", tenant.scope.org_id)
    for body in ({"target": "project", "projectId": str(tenant.scope.project_id)}, {"target": "organization"}):
        file, told = await exported(admin, tenant, work, **body)
        whole = b"".join(file.read(name) for name in file.namelist()).decode("utf-8", "replace")
        for text in TEXTS:
            assert text in whole
        for credential in ("hunter2-of-the-organisation", "a-secret-of-theirs", base64.b64encode(key).decode()):
            assert credential not in whole
        assert told["counts"]["sessions"] == 1
        assert told["counts"]["audit_log"] >= 1


async def test_an_erasure_takes_the_persons_exports_along(
    deps: ObservedDeps, client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    await leaves_everything(deps, client, tenant)
    _, told = await exported(admin, tenant, work, target="external_user", externalUserId=ADA)
    await erase(admin, tenant, target="external_user", externalUserId=ADA)
    await all_done(work)
    assert (await admin.get(f"{tenant.admin}/gdpr/exports/{told['id']}/file")).status_code == 404
    assert (await searched(deps, tenant)).found == []
    assert (
        await deps.database.fetchval(
            "SELECT count(*) FROM privacy_export_chunks WHERE org_id = $1", tenant.scope.org_id
        )
        == 0
    )


async def test_an_export_that_waits_is_cancelled_by_an_erasure_and_its_identifier_goes(
    deps: ObservedDeps, client: httpx.AsyncClient, admin: httpx.AsyncClient, tenant: Tenant, work: PrivacyWork
) -> None:
    body = {"target": "external_user", "externalUserId": ADA}
    export = (await admin.post(f"{tenant.admin}/gdpr/exports", json=body)).json()
    await erase(admin, tenant, **body)
    while await work.once(RequestKind.ERASURE, timedelta()):
        pass
    assert (await admin.get(f"{tenant.admin}/gdpr/exports/{export['id']}")).json()["state"] == "cancelled"
    assert (await searched(deps, tenant)).found == []


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
                assert not server.client().exists(*answers)
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

"""What a person leaves behind everywhere, and the work that gives it out or takes it away."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from actors.privacy_worker import privacy_work
from models.events import EventType
from models.ids import SessionId
from models.privacy import RequestKind
from models.results import ResultPlace
from models.runs import RunStatus
from models.tenants import SessionScope
from planvault.clock import TimeOrderedIds
from planvault.storage.pool import Role, open_pool
from planvault.storage.privacy_erasure import Patience
from planvault.storage.privacy_work import PrivacyWork
from retrieval.embedding import EMBEDDING_MODEL
from tests.integration.serve_apps.conftest import (
    ADMIN,
    ObservedDeps,
    OneHotEmbedder,
    Recorder,
    Tenant,
)
from tests.integration.serve_apps.residue import Residue, Search

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

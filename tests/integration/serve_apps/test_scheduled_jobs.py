"""Scheduled jobs over the API: made, checked, listed, cancelled."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from models import access
from tests.integration.serve_apps.conftest import ObservedDeps, Recorder, Tenant

WEEKLY = {"frequency": "weekly", "timezone": "Europe/Berlin", "hour": 9, "weekdays": ["friday", "monday"]}

# Half a day from now.
DISTANT = {"frequency": "daily", "timezone": "UTC", "hour": (datetime.now(UTC) + timedelta(hours=12)).hour}


@pytest.fixture
def jobs(tenant: Tenant) -> str:
    return f"{tenant.base}/scheduled-jobs"


def ahead(**distance: float) -> str:
    return (datetime.now(UTC) + timedelta(**distance)).isoformat()


async def make(client: httpx.AsyncClient, jobs: str, **body: Any) -> dict[str, Any]:
    given = {"prompt": "tell me", "delaySeconds": 60} if "recurrence" not in body and "runAt" not in body else {}
    answer = await client.post(jobs, json={"prompt": "tell me", **given, **body})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def faults(client: httpx.AsyncClient, jobs: str, **body: Any) -> dict[str, str]:
    """Pointer → detail of a refusal."""
    answer = await client.post(jobs, json={"prompt": "x", **body})
    assert answer.status_code == 422, answer.text
    return {error["pointer"]: error["detail"] for error in answer.json()["errors"]}


async def test_a_job_answers_what_it_was_given_and_can_be_found(client: httpx.AsyncClient, jobs: str) -> None:
    at = ahead(days=3)
    made = await make(
        client,
        jobs,
        name="weekly report",
        runAt=at,
        contextVars={"customer": 7},
        tags=["a", "a", "b"],
        metadata={"ticket": "T-1"},
        externalUserId="alice",
        secrets={"TOKEN": "canary-secret"},
        settings={"autoApprovePlan": True},
    )
    assert (made["status"], made["target"], made["name"]) == ("scheduled", "new_session_prompt", "weekly report")
    assert datetime.fromisoformat(made["runAt"]) == datetime.fromisoformat(at)
    assert (made["contextVars"], made["tags"], made["metadata"]) == ({"customer": 7}, ["a", "b"], {"ticket": "T-1"})
    assert (made["secretNames"], made["hasExternalUser"]) == (["TOKEN"], True)
    assert made["settings"]["autoApprovePlan"] is True
    assert made["createdBy"].startswith("key:")
    assert made["lastOccurrence"] is None
    assert "canary-secret" not in str(made)
    assert (await client.get(f"{jobs}/{made['id']}")).json() == made


async def test_nothing_that_a_job_carries_is_readable_in_the_database(
    deps: ObservedDeps, client: httpx.AsyncClient, jobs: str
) -> None:
    made = await make(
        client, jobs, prompt="canary-prompt", name="canary-name", contextVars={"a": "canary-context"},
        metadata={"m": "canary-meta"}, externalUserId="canary-user", secrets={"S": "canary-secret"},
    )  # fmt: skip
    row = await deps.database.fetchval(
        "SELECT scheduled_jobs::text FROM scheduled_jobs WHERE id = $1", UUID(made["id"])
    )
    assert "canary" not in row
    assert b"canary".hex() not in row


async def test_a_delay_counts_from_the_database_time(deps: ObservedDeps, client: httpx.AsyncClient, jobs: str) -> None:
    before = await deps.database.fetchval("SELECT now()")
    made = await make(client, jobs, delaySeconds=90.5)
    after = await deps.database.fetchval("SELECT now()")
    assert before <= datetime.fromisoformat(made["runAt"]) - timedelta(seconds=90.5) <= after


async def test_a_recurring_job_shows_its_rule_and_its_next_occurrence(client: httpx.AsyncClient, jobs: str) -> None:
    made = await make(client, jobs, recurrence=WEEKLY)
    assert made["recurrence"]["weekdays"] == ["monday", "friday"]
    assert made["recurrence"]["timezone"] == "Europe/Berlin"
    due = datetime.fromisoformat(made["runAt"])
    assert datetime.now(UTC) < due <= datetime.now(UTC) + timedelta(days=7, hours=1)
    bounds = {"startAt": "0001-01-01T00:00:00Z", "endAt": "9999-12-31T23:59:59.999999-14:00"}
    assert (await make(client, jobs, recurrence=WEEKLY | bounds))["runAt"] == made["runAt"]


@pytest.mark.parametrize(
    ("body", "pointer", "says"),
    [
        ({}, "", "exactly one of"),
        ({"runAt": ahead(hours=1), "delaySeconds": 5}, "", "exactly one of"),
        ({"runAt": ahead(seconds=-5)}, "/runAt", "in the past"),
        ({"runAt": ahead(days=31)}, "/runAt", "30 days"),
        ({"runAt": "2027-01-01T00:00:00"}, "/runAt", "timezone"),
        ({"runAt": 1_900_000_000}, "/runAt", "as text"),
        ({"delaySeconds": -1}, "/delaySeconds", "greater than or equal to 0"),
        ({"delaySeconds": 31 * 86_400}, "/delaySeconds", "30 days"),
        ({"recurrence": WEEKLY | {"timezone": "Europe/Belin"}}, "/recurrence/timezone", "mean Europe/Berlin"),
        ({"recurrence": WEEKLY | {"timezone": "../../etc/passwd"}}, "/recurrence/timezone", "no IANA"),
        ({"recurrence": WEEKLY | {"weekdays": []}}, "/recurrence/weekdays", "at least one"),
        ({"recurrence": WEEKLY | {"frequency": "hourly"}}, "/recurrence/hour", "only a minute"),
        ({"recurrence": WEEKLY | {"frequency": "daily"}}, "/recurrence/weekdays", "only a weekly"),
        ({"recurrence": WEEKLY | {"hour": None}}, "/recurrence/hour", "needs the hour"),
        ({"recurrence": WEEKLY | {"hour": 24}}, "/recurrence/hour", "less than or equal to 23"),
        ({"recurrence": WEEKLY | {"startAt": ahead(days=40)}}, "/recurrence/startAt", "30 days"),
        ({"recurrence": WEEKLY | {"endAt": ahead(days=-1)}}, "/recurrence/endAt", "before the beginning"),
        ({"recurrence": DISTANT | {"endAt": ahead(hours=6)}}, "/recurrence/endAt", "never occur"),
        ({"runAt": "0001-01-01T00:00:00+14:00"}, "/runAt", "in the past"),
        ({"runAt": "9999-12-31T23:59:59-14:00"}, "/runAt", "30 days"),
        ({"delaySeconds": 1e300}, "/delaySeconds", "30 days"),
        ({"recurrence": WEEKLY | {"startAt": "9999-12-31T23:59:59Z"}}, "/recurrence/startAt", "30 days"),
        ({"recurrence": WEEKLY | {"endAt": "0001-01-01T00:00:00Z"}}, "/recurrence/endAt", "before the beginning"),
        ({"recurrence": {"frequency": "monthly", "timezone": "UTC"}}, "/recurrence/frequency", "hourly"),
        ({"delaySeconds": 1, "target": "resume_session"}, "/sessionId", "needs the session"),
        ({"delaySeconds": 1, "sessionId": str(UUID(int=1))}, "/sessionId", "only resume_session"),
        ({"delaySeconds": 1, "secrets": {"not a name": "x"}}, "/secrets/not a name", "pattern"),
        ({"delaySeconds": 1, "cron": "* * * * *"}, "/cron", "not permitted"),
        ({"delaySeconds": 1, "prompt": "  "}, "/prompt", "pattern"),
    ],
)
async def test_a_refusal_points_at_the_fault(
    client: httpx.AsyncClient, jobs: str, body: dict[str, Any], pointer: str, says: str
) -> None:
    found = await faults(client, jobs, **body)
    assert says in found[pointer]


async def test_a_session_to_resume_must_be_there_and_open_and_keeps_its_own_context(
    client: httpx.AsyncClient, jobs: str, session: Recorder, path: str
) -> None:
    resume = {"target": "resume_session", "delaySeconds": 5, "sessionId": str(session.scope.session_id)}
    own = await faults(client, jobs, **resume, contextVars={"a": 1}, tags=["t"], settings={"autoApprovePlan": True})
    assert set(own) == {"/contextVars", "/tags", "/settings"}
    assert "no such session" in (await faults(client, jobs, **resume | {"sessionId": str(UUID(int=5))}))["/sessionId"]
    made = await make(client, jobs, **resume)
    assert made["sessionId"] == str(session.scope.session_id)
    await client.patch(path, json={"status": "closed"})
    assert "closed" in (await faults(client, jobs, **resume))["/sessionId"]


async def test_the_horizon_is_the_projects_setting(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, tenant: Tenant, jobs: str
) -> None:
    settings = f"{tenant.admin}/projects/{tenant.scope.project_id}/settings"
    assert (await admin.put(settings, json={"maxScheduleHorizonDays": 2})).status_code == 200
    assert "2 days" in (await faults(client, jobs, runAt=ahead(days=2, hours=1)))["/runAt"]
    await make(client, jobs, runAt=ahead(days=1, hours=23))


async def test_a_project_has_so_many_live_jobs_and_no_more(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, tenant: Tenant, jobs: str
) -> None:
    live = len((await client.get(jobs, params={"status": "scheduled", "limit": 200})).json()["items"])
    settings = f"{tenant.admin}/projects/{tenant.scope.project_id}/settings"
    assert (await admin.put(settings, json={"maxScheduledJobs": live + 2})).status_code == 200
    body = {"prompt": "later", "delaySeconds": 600}
    answers = await asyncio.gather(*(client.post(jobs, json=body) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409, 409, 409]
    refused = next(answer.json() for answer in answers if answer.status_code == 409)
    assert "maxScheduledJobs" in refused["detail"]
    made = next(answer.json() for answer in answers if answer.status_code == 201)
    assert (await client.post(f"{jobs}/{made['id']}/cancel")).status_code == 200
    assert (await client.post(jobs, json=body)).status_code == 201


async def test_jobs_that_are_made_and_cancelled_are_audited(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, tenant: Tenant, jobs: str
) -> None:
    made = await make(client, jobs, prompt="tell nobody", delaySeconds=600)
    for _ in range(2):  # cancelling again changes nothing
        assert (await client.post(f"{jobs}/{made['id']}/cancel")).status_code == 200
    params = {"action": ["JOB_SCHEDULED", "JOB_CANCELLED"], "projectId": str(tenant.scope.project_id)}
    rows = (await admin.get(f"{tenant.admin}/audit", params=params)).json()["items"]
    found = [row for row in rows if row["details"]["jobId"] == made["id"]]
    assert [row["action"] for row in found] == ["JOB_CANCELLED", "JOB_SCHEDULED"]
    assert all(row["actor"].startswith("key:") for row in found)
    assert "tell nobody" not in str(rows)


async def test_an_idempotency_key_makes_one_job(deps: ObservedDeps, client: httpx.AsyncClient, jobs: str) -> None:
    body = {"prompt": "once", "delaySeconds": 60}
    answers = [await client.post(jobs, json=body, headers={"Idempotency-Key": "k-1"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len((await client.get(jobs)).json()["items"]) == 1
    other = await client.post(jobs, json=body | {"prompt": "other"}, headers={"Idempotency-Key": "k-1"})
    assert other.json()["type"] == "urn:planvault:problem:IDEMPOTENCY_KEY_REUSED"


async def test_jobs_are_listed_newest_first_in_pages_and_filtered(
    client: httpx.AsyncClient, jobs: str, session: Recorder
) -> None:
    resumed = {"target": "resume_session", "sessionId": str(session.scope.session_id)}
    made = [
        await make(client, jobs, name="once"),
        await make(client, jobs, name="weekly", recurrence=WEEKLY),
        await make(client, jobs, name="resuming", **resumed),
        await make(client, jobs, name="cancelled"),
    ]
    await client.post(f"{jobs}/{made[3]['id']}/cancel")
    seen: list[str] = []
    cursor: str | None = None
    while not seen or cursor:
        page = (await client.get(jobs, params={"limit": 3} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [item["name"] for item in page["items"]]
        cursor = page["nextCursor"]
    assert seen == ["cancelled", "resuming", "weekly", "once"]
    for query, expected in (
        ({"status": "cancelled"}, ["cancelled"]),
        ({"status": "scheduled"}, ["resuming", "weekly", "once"]),
        ({"target": "resume_session"}, ["resuming"]),
        ({"recurring": "true"}, ["weekly"]),
        ({"sessionId": resumed["sessionId"]}, ["resuming"]),
        ({"recurring": "false", "status": "completed"}, []),
    ):
        found = (await client.get(jobs, params=query)).json()["items"]
        assert [item["name"] for item in found] == expected, query
    assert (await client.get(jobs, params={"cursor": "nonsense"})).status_code == 422


async def test_a_page_of_jobs_is_bounded_in_bytes_and_none_is_left_out(client: httpx.AsyncClient, jobs: str) -> None:
    made = [(await make(client, jobs, contextVars={"note": "x" * 1_500_000}))["id"] for _ in range(3)]
    first = (await client.get(jobs)).json()
    second = (await client.get(jobs, params={"cursor": first["nextCursor"]})).json()
    assert [item["id"] for item in first["items"] + second["items"]] == made[::-1]
    assert (len(first["items"]), second["nextCursor"]) == (2, None)


async def test_cancelling_ends_a_job_forgets_its_secrets_and_may_be_repeated(
    deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant, jobs: str
) -> None:
    made = await make(client, jobs, secrets={"TOKEN": "canary-secret"})
    for _ in range(2):
        answer = await client.post(f"{jobs}/{made['id']}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    job = await deps.scheduled_jobs.get(tenant.scope, made["id"])
    assert (job.payload.secrets, job.secret_names) == ({}, ("TOKEN",))
    assert (await client.post(f"{jobs}/{UUID(int=9)}/cancel")).status_code == 404


async def test_another_tenants_job_is_not_there(
    deps: ObservedDeps, client: httpx.AsyncClient, anonymous: httpx.AsyncClient, jobs: str, stranger: Tenant
) -> None:
    made = await make(client, jobs)
    theirs = f"{stranger.base}/scheduled-jobs"
    for call in (
        anonymous.get(f"{theirs}/{made['id']}", headers=stranger.auth),
        anonymous.get(f"{theirs}/{made['id']}/occurrences", headers=stranger.auth),
        anonymous.post(f"{theirs}/{made['id']}/cancel", headers=stranger.auth),
    ):
        assert (await call).status_code == 404
    assert (await anonymous.get(theirs, headers=stranger.auth)).json()["items"] == []


async def test_reading_and_writing_jobs_are_scopes_of_their_own(
    deps: ObservedDeps, anonymous: httpx.AsyncClient, tenant: Tenant, jobs: str
) -> None:
    _, reads = await deps.api_keys.create(tenant.scope, "reads", [access.SCHEDULES_READ])
    _, writes = await deps.api_keys.create(tenant.scope, "writes", [access.SCHEDULES_WRITE])
    body = {"prompt": "x", "delaySeconds": 1}
    for key, post, get in ((reads, 403, 200), (writes, 201, 403)):
        auth = {"Authorization": f"Bearer {key.text}"}
        assert (await anonymous.post(jobs, json=body, headers=auth)).status_code == post
        assert (await anonymous.get(jobs, headers=auth)).status_code == get


async def test_the_admin_api_schedules_for_any_project_of_the_organisation(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, tenant: Tenant, jobs: str
) -> None:
    theirs = f"{tenant.admin}/projects/{tenant.scope.project_id}/scheduled-jobs"
    made = (await admin.post(theirs, json={"prompt": "x", "recurrence": WEEKLY})).json()
    assert made["createdBy"] == "admin-token"
    assert (
        (await client.get(f"{jobs}/{made['id']}")).json() == made == (await admin.get(f"{theirs}/{made['id']}")).json()
    )
    assert [item["id"] for item in (await admin.get(theirs)).json()["items"]] == [made["id"]]
    past = [(await one.get(f"{at}/{made['id']}/occurrences")) for one, at in ((client, jobs), (admin, theirs))]
    assert [answer.json() for answer in past] == [{"items": [], "nextCursor": None}] * 2
    assert (await admin.post(f"{theirs}/{made['id']}/cancel")).json()["status"] == "cancelled"

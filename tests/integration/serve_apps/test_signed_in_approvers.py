"""Votes of people whom an issuer has signed in, beside the claims of keys and service tokens."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from models.access import Role
from models.events import EventType
from models.ids import JobId
from planvault.settings import Settings
from tests.integration.auth.issuer import AUDIENCE, Issuer, serving, signer
from tests.integration.runtime.harness import SHARDS
from tests.integration.serve_apps.access.cast import join
from tests.integration.serve_apps.approving import BIG, Chat, Setup
from tests.integration.serve_apps.conftest import ADMIN, ObservedDeps, Tenant, client_for

pytestmark = pytest.mark.postgres

ADA, BOB, EVE = "ada@acme.example", "bob@acme.example", "eve@acme.example"
STRICT = {"signedInApproversOnly": True}
FINANCE: dict[str, Any] = {"groups": {"finance": [ADA, BOB]}}


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with serving() as running:
        yield running


@pytest.fixture
def settings(issuer: Issuer, database_url: str, tmp_path: Path) -> Settings:
    return Settings(
        database_url=database_url,
        data_dir=tmp_path,
        admin_token_sha256=ADMIN.sha256.hex(),
        keep_admin_token=True,
        shards=SHARDS,
        oidc_issuer=issuer.url,
        oidc_audience=AUDIENCE,
        oidc_private=True,
    )


class Room(Setup):
    """With people who sign in at the issuer."""

    issuer: Issuer
    stack: AsyncExitStack
    deps: ObservedDeps

    async def speaks(self, token: str) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"}
        return await self.stack.enter_async_context(client_for(self.deps, headers))

    async def person(self, email: str) -> httpx.AsyncClient:
        """A developer of the organisation, signed in by a token of the issuer."""
        user = await self.deps.members.signed_in(self.issuer.url, email, email=email, email_verified=True, name="")
        await join(self.deps, self.tenant.scope, user, Role.DEVELOPER)
        return await self.speaks(self.issuer.token(sub=email, email=email))

    async def service(self) -> httpx.AsyncClient:
        made = await self.admin.post(f"{self.tenant.admin}/service-tokens", json={"name": "ci", "role": "ADMIN"})
        return await self.speaks(made.json()["token"])


@pytest.fixture
async def room(
    issuer: Issuer, deps: ObservedDeps, tenant: Tenant, client: httpx.AsyncClient, admin: httpx.AsyncClient
) -> AsyncIterator[Room]:
    made = Room(deps, tenant, client, admin)
    made.issuer, made.deps = issuer, deps
    async with AsyncExitStack() as made.stack, made.platform.host("a"):
        yield made


async def asked(room: Room, chat: Chat, operator: str = "") -> str:
    """The correlation id of the question that the session's prompt leads to."""
    await chat.says(operator=operator)
    correlation: str = (await chat.saw(EventType.TOOL_APPROVAL_REQUIRED))["correlationId"]
    return correlation


async def votes(chat: Chat, correlation: str, operator: str = "", action: str = "approve_tool") -> tuple[int, str, str]:
    answer = await chat.acts(action, operator, correlationId=correlation)
    told = answer.json()
    return answer.status_code, told.get("type", "").rpartition(":")[2], told.get("detail", "")


async def test_no_key_or_token_approves_in_a_persons_name_where_only_people_who_signed_in_do(room: Room) -> None:
    await room.rules(BIG | {"groups": ["finance"]}, **FINANCE, **STRICT)
    chat = await room.chat()
    correlation = await asked(room, chat)
    for claimant in (chat, chat.through(await room.service())):
        for action in ("approve_tool", "reject_tool"):
            status, code, detail = await votes(claimant, correlation, ADA, action)
            assert (status, code) == (403, "OPERATOR_REQUIRED")
            assert "sign-in at the issuer" in detail
    assert (await votes(chat.through(room.admin), correlation, ADA))[:2] == (403, "FORBIDDEN")
    stranger = chat.through(await room.person(EVE))
    assert (await votes(stranger, correlation))[:2] == (403, "NOT_AN_APPROVER")
    ada = chat.through(await room.person(ADA))
    assert (await votes(ada, correlation, BOB))[:2] == (403, "FORBIDDEN")
    assert (await votes(ada, correlation))[0] == 202
    assert (await chat.saw(EventType.DONE))["status"] == "completed"
    result = await chat.saw(EventType.TOOL_APPROVAL_RESULT)
    assert (result["actor"], result["proven"]) == (ADA, True)
    [row] = await room.audit(action="TOOL_APPROVED")
    assert (row["actor"], row["details"]["proven"]) == (ADA, True)
    refused = await room.audit(action="ACTION_REFUSED")
    assert [row["details"].get("proven", False) for row in refused].count(True) == 1
    assert room.paid == 1


async def test_a_token_that_no_issuer_signed_proves_nothing(room: Room, issuer: Issuer) -> None:
    """The names of the issuer, of its key and of the person, under another key: it never comes to a vote."""
    await room.rules(BIG, **STRICT)
    await room.person(ADA)
    chat = await room.chat()
    correlation = await asked(room, chat)
    forged = await room.speaks(signer("stranger").sign(issuer.claims(sub=ADA, email=ADA), kid=signer().kid))
    assert (await votes(chat.through(forged), correlation))[0] == 401
    unverified = await room.speaks(issuer.token(sub="mallory", email=ADA, email_verified=False))
    assert (await votes(chat.through(unverified), correlation))[0] == 404
    assert (await chat.run())["status"] == "awaiting_confirmation"


async def test_a_key_that_votes_in_a_persons_name_neither_uses_their_vote_up_nor_makes_two_of_them(room: Room) -> None:
    await room.rules(BIG | {"groups": ["finance"], "quorum": 2}, **FINANCE)
    chat = await room.chat()
    correlation = await asked(room, chat)
    ada, bob = chat.through(await room.person(ADA)), chat.through(await room.person(BOB))
    assert (await votes(chat, correlation, ADA))[0] == 202
    await chat.saw(EventType.APPROVAL_VOTE)
    assert (await votes(ada, correlation))[0] == 202
    await chat.saw(EventType.APPROVAL_VOTE, 2)
    run = await chat.run()
    assert (run["status"], run["pending"]["votes"]) == ("awaiting_confirmation", [{"actor": ADA, "proven": True}])
    assert (await votes(chat, correlation, ADA))[:2] == (409, "ALREADY_VOTED")
    assert (await votes(ada, correlation))[:2] == (409, "ALREADY_VOTED")
    assert (await votes(bob, correlation))[0] == 202
    assert (await chat.saw(EventType.DONE))["status"] == "completed"
    shown = [event["payload"] for event in await chat.history() if event["eventType"] == "approval_vote"]
    told = [(vote["voter"], vote.get("proven", False), vote["votes"]) for vote in shown]
    assert told == [(ADA, False, 1), (ADA, True, 1), (BOB, True, 2)]
    rows = await room.audit(action="APPROVAL_VOTE")
    assert sorted(row["details"].get("proven", False) for row in rows) == [False, True, True]


async def test_who_asked_with_a_key_under_their_name_does_not_approve_it_signed_in(room: Room) -> None:
    await room.rules(BIG, forbidSelfApproval=True, **STRICT)
    chat = await room.chat()
    correlation = await asked(room, chat, operator=ADA)
    ada, bob = chat.through(await room.person(ADA)), chat.through(await room.person(BOB))
    assert (await votes(ada, correlation))[:2] == (403, "SELF_APPROVAL")
    assert (await votes(bob, correlation))[0] == 202
    assert (await chat.saw(EventType.DONE))["status"] == "completed"


async def test_plans_too_are_approved_by_who_has_signed_in_and_the_organisation_asks_for_all_projects(
    room: Room,
) -> None:
    """A project that does not ask for it cannot loosen it."""
    body = {"runtimePolicy": STRICT}
    assert (await room.admin.put(f"{room.tenant.admin}/settings", json=body)).status_code == 200
    assert (await room.policy(mode="require", signedInApproversOnly=False)).status_code == 200
    chat = await room.chat()
    ada = chat.through(await room.person(ADA))
    await ada.says()
    asked_ = await chat.saw(EventType.CONFIRM_PLAN_REQUIRED)
    refused = await chat.acts("approve", BOB, planHash=asked_["planHash"])
    assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (403, "OPERATOR_REQUIRED")
    assert (await ada.acts("approve", planHash=asked_["planHash"])).status_code == 202
    assert (await chat.saw(EventType.CONFIRM_PLAN_RESULT))["proven"] is True
    await chat.saw(EventType.DONE)
    prompts = [event["payload"] for event in await chat.history() if event["eventType"] == "prompt"]
    assert [(prompt["operator"], prompt["proven"]) for prompt in prompts] == [(ADA, True)]


async def test_settings_that_ask_for_it_are_shown_and_written_back_and_audited(room: Room) -> None:
    await room.rules(BIG, **STRICT)
    url = f"{room.tenant.admin}/projects/{room.tenant.scope.project_id}/settings"
    read = (await room.admin.get(url)).json()
    assert read["runtimePolicy"]["signedInApproversOnly"] is True
    assert (await room.admin.put(url, json=read)).json() == read
    rows = await room.audit(action="SETTINGS_CHANGED")
    assert rows[0]["details"]["settings"]["runtimePolicy"]["signedInApproversOnly"] is True


async def test_a_prompt_that_is_sent_later_is_as_proven_as_when_it_was_given(room: Room) -> None:
    ada = await room.person(ADA)
    proven = []
    for client, claim in ((ada, {}), (room.client, {"X-Operator-Id": ADA})):
        body = {"prompt": "pay ada", "delaySeconds": 60}
        made = await client.post(f"{room.tenant.base}/scheduled-jobs", json=body, headers=claim)
        job = await room.deps.scheduled_jobs.get(room.tenant.scope, JobId(UUID(made.json()["id"])))
        proven.append((job.payload.operator, job.payload.proven))
    assert proven == [(ADA, True), (ADA, False)]


async def test_a_claim_does_not_replace_what_a_person_said_of_a_run_and_is_replaced_by_it(room: Room) -> None:
    await room.rules()
    chat = await room.chat()
    await chat.says()
    run = (await chat.saw(EventType.DONE))["runId"]
    ada = await room.person(ADA)

    async def says(client: httpx.AsyncClient, value: str, **headers: str) -> tuple[int, str]:
        answer = await client.post(f"{chat.url}/feedback", json={"runId": run, "value": value}, headers=headers)
        return answer.status_code, answer.json().get("value") or answer.json()["type"].rpartition(":")[2]

    claim = {"X-Operator-Id": ADA.upper()}
    assert await says(room.client, "like", **claim) == (200, "like")
    assert await says(ada, "dislike") == (200, "dislike")
    assert await says(room.client, "like", **claim) == (409, "ALREADY_VOTED")
    assert await says(ada, "like") == (200, "like")
    assert await says(room.client, "dislike") == (200, "dislike")  # the key's own
    told = await room.deps.database.fetch("SELECT value, proven FROM feedback WHERE run_id = $1", run)
    assert sorted((row["value"], row["proven"]) for row in told) == [("dislike", False), ("like", True)]

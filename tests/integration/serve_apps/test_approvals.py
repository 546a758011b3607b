"""Approvals over the public API, with a real host behind it: rules, denial, votes, expiry, the audit log."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.events import EventType
from models.ids import SessionId
from models.plans import Lit, Plan, SecretRef
from models.tenants import SessionScope
from models.tools import ApprovalPolicy
from planvault.settings import Settings
from tests.integration.runtime.harness import SHARDS
from tests.integration.serve_apps.approving import BIG, Setup
from tests.integration.serve_apps.conftest import ADMIN, ObservedDeps, Tenant
from tests.unit.engine.plans import call, plan, reply, var


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(database_url=database_url, data_dir=tmp_path, admin_token_sha256=ADMIN.sha256.hex(), shards=SHARDS)


@pytest.fixture
async def setup(
    deps: ObservedDeps, tenant: Tenant, client: httpx.AsyncClient, admin: httpx.AsyncClient
) -> AsyncIterator[Setup]:
    made = Setup(deps, tenant, client, admin)
    async with made.platform.host("a"):
        yield made


async def test_a_call_that_a_rule_meets_waits_until_it_is_approved(setup: Setup) -> None:
    await setup.rules(BIG)
    chat = await setup.chat()
    await chat.says(operator="alice")
    asked = await chat.saw(EventType.TOOL_APPROVAL_REQUIRED)
    assert asked["displayParams"] == {"amount": 500, "to": "Ada"}
    assert asked["rules"][0]["message"] == "Large payment"
    run = await chat.run()
    assert run["status"] == "awaiting_confirmation"
    assert run["pending"]["correlationId"] == asked["correlationId"]
    assert run["pending"]["expiresAt"] == asked["expiresAt"]
    assert "ballot" not in run["pending"]
    assert setup.paid == 0
    assert (await chat.acts("approve")).status_code == 409
    assert (await chat.acts("approve_tool", correlationId="0" * 32)).status_code == 409
    assert (await chat.acts("approve_tool")).status_code == 422
    accepted = await chat.acts("approve_tool", "bob", correlationId=asked["correlationId"], reason="invoice 7")
    assert accepted.status_code == 202
    done = await chat.saw(EventType.DONE)
    assert (done["status"], done["reply"]) == ("completed", "paid Ada")
    assert setup.paid == 1
    [row] = await setup.audit(action="TOOL_APPROVED")
    assert row["actor"].startswith("bob (key:")
    assert (row["details"]["tool"], row["details"]["reason"]) == ("pay", "invoice 7")
    assert row["details"]["paramsHash"] == asked["paramsHash"]


async def test_a_rejected_call_is_not_made(setup: Setup) -> None:
    await setup.rules(BIG)
    chat = await setup.chat()
    await chat.says()
    asked = await chat.saw(EventType.TOOL_APPROVAL_REQUIRED)
    assert (await chat.acts("reject_tool", correlationId=asked["correlationId"])).status_code == 202
    assert (await chat.saw(EventType.DONE))["status"] == "cancelled"
    assert setup.paid == 0


async def test_a_denied_call_ends_its_run_and_nobody_is_asked(setup: Setup) -> None:
    constraint = {"id": "cap", "tools": ["pay"], "when": "args.amount >= 500", "message": "By hand."}
    await setup.rules(BIG, runtimeSafety={"constraints": [constraint]})
    chat = await setup.chat()
    await chat.says()
    assert (await chat.saw(EventType.DONE))["status"] == "failed"
    assert (await chat.saw(EventType.TOOL_POLICY_DENIED))["constraint"] == "cap"
    assert (await chat.saw(EventType.ERROR))["code"] == "POLICY_DENIED"
    assert setup.paid == 0
    assert [event["tool"] for event in await chat.history() if event["eventType"] == "tool_start"] == ["lookup"]


async def test_the_organisation_s_rules_hold_in_every_project(setup: Setup) -> None:
    body = {"runtimePolicy": {"runtimeSafety": {"constraints": [{"id": "org", "when": "tool.name == 'pay'"}]}}}
    assert (await setup.admin.put(f"{setup.tenant.admin}/settings", json=body)).status_code == 200
    await setup.rules()
    chat = await setup.chat()
    await chat.says()
    assert (await chat.saw(EventType.TOOL_POLICY_DENIED))["constraint"] == "org"


async def test_a_later_change_does_not_reach_into_a_run_and_holds_for_the_next(setup: Setup) -> None:
    await setup.rules(BIG)
    chat = await setup.chat()
    await chat.says()
    asked = await chat.saw(EventType.TOOL_APPROVAL_REQUIRED)
    await setup.rules(BIG, runtimeSafety={"constraints": [{"id": "stop"}]})
    await chat.acts("approve_tool", correlationId=asked["correlationId"])
    assert (await chat.saw(EventType.DONE))["status"] == "completed"
    await chat.says("again")
    assert (await chat.saw(EventType.DONE, 2))["status"] == "failed"


async def test_votes_that_do_not_count_are_refused_with_a_reason(setup: Setup) -> None:
    groups = {"finance": ["alice", "bob", "carol"]}
    await setup.rules(BIG | {"groups": ["finance"], "quorum": 2}, groups=groups, forbidSelfApproval=True)
    chat = await setup.chat()
    await chat.says(operator="alice")
    correlation = (await chat.saw(EventType.TOOL_APPROVAL_REQUIRED))["correlationId"]

    async def vote(operator: str) -> tuple[int, str]:
        answer = await chat.acts("approve_tool", operator, correlationId=correlation)
        return answer.status_code, answer.json().get("type", "").rpartition(":")[2]

    assert await vote("") == (403, "OPERATOR_REQUIRED")
    assert await vote("ALICE") == (403, "SELF_APPROVAL")
    assert await vote("mallory") == (403, "NOT_AN_APPROVER")
    assert (await vote("bob"))[0] == 202
    await chat.saw(EventType.APPROVAL_VOTE)
    assert [each["actor"].split()[0] for each in (await chat.run())["pending"]["votes"]] == ["bob"]
    assert await vote("Bob ") == (409, "ALREADY_VOTED")
    assert (await vote("carol"))[0] == 202
    assert (await chat.saw(EventType.DONE))["status"] == "completed"
    assert len(await setup.audit(action="APPROVAL_VOTE")) == 2
    assert len(await setup.audit(action="TOOL_APPROVED")) == 1


async def test_two_votes_of_one_person_at_once_count_once_and_the_second_shows(setup: Setup) -> None:
    """The API can know of neither when it takes them: the record says what became of the second."""
    await setup.rules(BIG | {"quorum": 2})
    chat = await setup.chat()
    await chat.says()
    correlation = (await chat.saw(EventType.TOOL_APPROVAL_REQUIRED))["correlationId"]
    votes = [chat.acts("approve_tool", "bob", correlationId=correlation) for _ in range(2)]
    if [answer.status_code for answer in await asyncio.gather(*votes)] == [202, 202]:
        refused = await chat.saw(EventType.ACTION_REFUSED)
        assert (refused["action"], refused["code"]) == ("approve_tool", "ALREADY_VOTED")
    assert (await chat.run())["status"] == "awaiting_confirmation"
    assert setup.paid == 0


async def test_a_plan_can_need_two_people_of_a_group(setup: Setup) -> None:
    await setup.policy(
        mode="require",
        planApproval={"groups": ["ops"], "quorum": 2, "expiresInSeconds": 600},
        groups={"ops": ["bob", "carol"]},
    )
    chat = await setup.chat()
    await chat.says()
    asked = await chat.saw(EventType.CONFIRM_PLAN_REQUIRED)
    assert (asked["quorum"], asked["groups"]) == (2, ["ops"])
    assert (await chat.acts("approve", "dan")).status_code == 403
    assert (await chat.acts("approve", "bob", planHash=asked["planHash"])).status_code == 202
    await chat.saw(EventType.APPROVAL_VOTE)
    assert (await chat.acts("approve", "carol")).status_code == 202
    assert (await chat.saw(EventType.DONE))["status"] == "completed"
    result = await chat.saw(EventType.CONFIRM_PLAN_RESULT)
    assert [each.split()[0] for each in result["approvers"]] == ["bob", "carol"]


async def test_a_name_beyond_ascii_is_the_group_s(setup: Setup) -> None:
    """Clients send it as UTF-8; headers are read as Latin-1."""
    await setup.rules(BIG | {"groups": ["ops"]}, groups={"ops": ["Zoë Là"]})
    chat = await setup.chat()
    await chat.says()
    correlation = (await chat.saw(EventType.TOOL_APPROVAL_REQUIRED))["correlationId"]
    answer = await setup.client.post(
        f"{chat.url}/actions",
        json={"action": "approve_tool", "correlationId": correlation},
        headers={"X-Operator-Id": "Zoë Là".encode()},
    )
    assert answer.status_code == 202, answer.text
    assert (await chat.saw(EventType.TOOL_APPROVAL_RESULT))["actor"].startswith("Zoë Là (")


async def test_an_unanswered_question_ends_its_run_as_interrupted(setup: Setup) -> None:
    await setup.rules(BIG | {"expiresInSeconds": 1})
    chat = await setup.chat()
    await chat.says()
    done = await chat.saw(EventType.DONE)
    assert done["status"] == "interrupted"
    run = await chat.run()
    assert (run["status"], run["reason"]) == ("interrupted", "approval_expired")
    [row] = await setup.audit(action="APPROVAL_EXPIRED")
    assert row["actor"] == "clock"
    assert setup.paid == 0


async def test_a_waiting_approval_survives_its_host(deps: ObservedDeps, setup: Setup) -> None:
    await setup.rules(BIG | {"quorum": 2})
    chat = await setup.chat()
    await chat.says()
    correlation = (await chat.saw(EventType.TOOL_APPROVAL_REQUIRED))["correlationId"]
    await chat.acts("approve_tool", "bob", correlationId=correlation)
    await chat.saw(EventType.APPROVAL_VOTE)
    scope = SessionScope(**setup.tenant.scope.model_dump(), session_id=SessionId(chat.url.rpartition("/")[2]))  # type: ignore[arg-type]
    record = [event.type for event in await setup.platform.record(scope)]
    assert record.count(EventType.QUESTION_ASKED) == 1
    async with setup.platform.host("b"):
        await chat.acts("approve_tool", "carol", correlationId=correlation)
        assert (await chat.saw(EventType.DONE))["status"] == "completed"
    assert setup.paid == 1


async def test_automatic_approval_and_what_blocks_it_are_audited_once(setup: Setup) -> None:
    await setup.policy(mode="require")
    chat = await setup.chat(settings={"autoApprovePlan": True})
    await chat.says()
    await chat.saw(EventType.DONE)
    [row] = await setup.audit(action="PLAN_AUTO_APPROVED")
    assert (row["details"]["approvalSource"], row["actor"]) == ("session", "policy")
    pay = setup.world.tools["pay"]
    setup.world.tools["pay"] = pay.model_copy(update={"approval_policy": ApprovalPolicy.ALWAYS, "id": deps_id(setup)})
    chat = await setup.chat(settings={"autoApprovePlan": True})
    await chat.says()
    await chat.saw(EventType.CONFIRM_PLAN_REQUIRED)
    [row] = await setup.audit(action="PLAN_AUTO_APPROVE_BLOCKED")
    assert row["details"]["blockedBy"] == ["pay"]
    await chat.acts("reject", reason="not today")
    await chat.saw(EventType.DONE)
    [row] = await setup.audit(action="PLAN_REJECTED")
    assert row["details"]["reason"] == "not today"


def deps_id(setup: Setup) -> Any:
    """Another tool: hosts remember definitions by id and version."""
    return setup.platform.ids.new()


async def test_the_audit_log_is_paged_filtered_and_the_organisation_s_own(
    setup: Setup, stranger: Tenant, client: httpx.AsyncClient
) -> None:
    await setup.rules(BIG)
    for _ in range(3):
        chat = await setup.chat()
        await chat.says()
        asked = await chat.saw(EventType.TOOL_APPROVAL_REQUIRED)
        await chat.acts("approve_tool", correlationId=asked["correlationId"])
        await chat.saw(EventType.DONE)
    url = f"{setup.tenant.admin}/audit"
    first = (await setup.admin.get(url, params={"limit": 2, "action": ["TOOL_APPROVED"]})).json()
    second = (
        await setup.admin.get(url, params={"limit": 2, "action": ["TOOL_APPROVED"], "cursor": first["nextCursor"]})
    ).json()
    assert (len(first["items"]), len(second["items"]), second["nextCursor"]) == (2, 1, None)
    assert len({row["id"] for row in first["items"] + second["items"]}) == 3
    session = chat.url.rpartition("/")[2]
    of_session = await setup.audit(sessionId=session)
    assert [row["action"] for row in of_session] == ["TOOL_APPROVED", "PLAN_AUTO_APPROVED"]
    [changed] = await setup.audit(action="SETTINGS_CHANGED")
    assert changed["details"]["settings"]["runtimePolicy"]["runtimeApproval"]["rules"][0]["id"] == "big"
    assert (await setup.admin.get(f"{stranger.admin}/audit")).json()["items"] == []
    assert (await client.get(url)).status_code == 403
    assert (await setup.admin.get(url, params={"action": "NOPE"})).status_code == 422
    assert (await setup.admin.get(url, params={"since": "yesterday"})).status_code == 422


RULES = "/runtimePolicy/runtimeApproval/rules/0"


@pytest.mark.parametrize(
    ("policy", "pointer", "says"),
    [
        ({"runtimeApproval": {"rules": [BIG | {"when": "arg.x > 1"}]}}, f"{RULES}/when", "did you mean args?"),
        ({"runtimeApproval": {"rules": [BIG | {"when": "args.x +"}]}}, f"{RULES}/when", "Syntax error"),
        ({"runtimeApproval": {"rules": [BIG | {"when": "x" * 1_001}]}}, f"{RULES}/when", "1000"),
        ({"runtimeApproval": {"rules": [BIG | {"groups": ["nobody"]}]}}, f"{RULES}/groups/0", "there are: ops"),
        ({"runtimeApproval": {"rules": [BIG | {"groups": ["ops"], "quorum": 2}]}}, f"{RULES}/quorum", "name 1"),
        ({"runtimeApproval": {"rules": [BIG | {"quorum": 0}]}}, f"{RULES}/quorum", "greater"),
        ({"runtimeApproval": {"rules": [BIG, BIG]}}, RULES.replace("/0", "/1") + "/id", "used twice"),
        ({"runtimeApproval": {"rules": [BIG | {"expiresInSeconds": 0}]}}, f"{RULES}/expiresInSeconds", "greater"),
        (
            {"runtimeSafety": {"constraints": [{"id": "c", "when": "args.l.map(x, x)"}]}},
            "/runtimePolicy/runtimeSafety/constraints/0/when",
            "exists()",
        ),
        ({"runtimeApprovals": {}}, "/runtimePolicy/runtimeApprovals", "Extra"),
        ({"planApproval": {"groups": ["ops"], "quorum": 3}}, "/runtimePolicy/planApproval/quorum", "3 people"),
    ],
)
async def test_a_policy_that_cannot_be_used_is_refused_where_it_is_wrong(
    setup: Setup, policy: dict[str, Any], pointer: str, says: str
) -> None:
    answer = await setup.policy(groups={"ops": ["bob", " BOB "]}, **policy)
    assert answer.status_code == 422
    [fault] = answer.json()["errors"]
    assert fault["pointer"] == pointer
    assert says in fault["detail"]


async def test_settings_that_were_read_can_be_written_back(setup: Setup) -> None:
    await setup.rules(BIG | {"groups": ["ops"]}, groups={"ops": ["bob"]}, forbidSelfApproval=True)
    url = f"{setup.tenant.admin}/projects/{setup.tenant.scope.project_id}/settings"
    read = (await setup.admin.get(url)).json()
    written = await setup.admin.put(url, json=read)
    assert written.status_code == 200, written.text
    assert written.json() == read


async def test_a_project_may_name_the_organisation_s_groups(setup: Setup) -> None:
    await setup.admin.put(f"{setup.tenant.admin}/settings", json={"runtimePolicy": {"groups": {"legal": ["dan"]}}})
    await setup.rules(BIG | {"groups": ["legal"]})
    created = await setup.admin.post(
        f"{setup.tenant.admin}/projects",
        json={"name": "p2", "settings": {"runtimePolicy": {"planApproval": {"groups": ["nope"]}}}},
    )
    assert created.status_code == 422
    assert created.json()["errors"][0]["pointer"] == "/settings/runtimePolicy/planApproval/groups/0"


async def test_a_project_cannot_ask_for_more_people_than_the_organisation_s_groups_have(setup: Setup) -> None:
    """Both policies hold, so nobody could ever approve a plan there."""
    ops = {"planApproval": {"groups": ["ops"]}, "groups": {"ops": ["bob"]}}
    assert (await setup.admin.put(f"{setup.tenant.admin}/settings", json={"runtimePolicy": ops})).status_code == 200
    answer = await setup.policy(planApproval={"quorum": 2})
    assert answer.status_code == 422
    [fault] = answer.json()["errors"]
    assert fault["pointer"] == "/runtimePolicy/planApproval/quorum"
    assert "2 people have to approve, and the groups name 1" in fault["detail"]
    assert (await setup.policy(planApproval={"quorum": 1})).status_code == 200


async def test_whoever_sets_what_is_asked_about_is_audited_wherever_it_is_set(setup: Setup) -> None:
    """An integration's approval policy is the first of the three layers; a project can be made with a policy."""
    insert = (
        "INSERT INTO integrations (id, org_id, alias, display_name, source) VALUES ($1, $2, 'shop', 'Shop', 'openapi')"
    )
    await setup.platform.pool.execute(insert, setup.platform.ids.new(), setup.tenant.scope.org_id)
    body = {"enabled": True, "approvalPolicy": "always", "auth": {"Authorization": "Bearer canary-value-123"}}
    url = f"{setup.tenant.base}/tools/integrations/shop"
    headers = {"X-Operator-Id": "mallory"}
    assert (await setup.client.put(url, json=body, headers=headers)).status_code == 200
    assert (await setup.client.put(url, json={"enabled": True}, headers=headers)).status_code == 200
    new = {"name": "p3", "settings": {"planApprovalMode": "auto"}}
    created = await setup.admin.post(f"{setup.tenant.admin}/projects", json=new)
    rows = await setup.audit(action="SETTINGS_CHANGED")
    made, dropped, first = rows
    assert (made["projectId"], made["details"]["settings"]["planApprovalMode"]) == (created.json()["id"], "auto")
    wanted = {"enabled": True, "approvalPolicy": None, "auth": []}
    assert dropped["details"] == {"integration": "shop", "settings": wanted}
    assert first["details"]["settings"] == wanted | {"approvalPolicy": "always", "auth": ["Authorization"]}
    assert first["actor"].startswith("mallory (key:")
    assert "canary-value-123" not in str(rows)


async def test_a_parameter_s_secret_value_is_nowhere_in_the_question(setup: Setup) -> None:
    setup.world.plan = secret_plan()
    await setup.rules(BIG | {"when": "args.key.contains('secrets.SHOP')"})
    chat = await setup.chat(secrets={"SHOP": "canary-value-123"})
    await chat.says()
    asked = await chat.saw(EventType.TOOL_APPROVAL_REQUIRED)
    assert asked["displayParams"]["key"] == "{{secrets.SHOP}}"
    assert "canary-value-123" not in str(await chat.history()) + str(await chat.run()) + str(await setup.audit())


def secret_plan() -> Plan:
    return plan(call("n1", "pay", "x", key=SecretRef(name="SHOP"), amount=Lit(value=1)), reply(var("x")))


async def test_who_signs_in_is_asked_for_only_where_somebody_can(setup: Setup) -> None:
    """This installation has no issuer: nobody could ever approve."""
    strict = {"signedInApproversOnly": True}
    organization = await setup.admin.put(f"{setup.tenant.admin}/settings", json={"runtimePolicy": strict})
    made = {"name": "p4", "settings": {"runtimePolicy": strict}}
    created = await setup.admin.post(f"{setup.tenant.admin}/projects", json=made)
    for answer, above in ((organization, ""), (await setup.policy(**strict), ""), (created, "/settings")):
        assert answer.status_code == 422
        [fault] = answer.json()["errors"]
        assert fault["pointer"] == f"{above}/runtimePolicy/signedInApproversOnly"
        assert "PLANVAULT_OIDC_ISSUER" in fault["detail"]

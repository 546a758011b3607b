"""The planner with a scripted model over real HTTP: repair loop, structured output, and what never leaves."""

from datetime import UTC, datetime

import pytest

from models.planning import PlanOutcome, PlanRequest
from planvault.errors import LlmFailed
from planvault.llm.choice import VENDOR_DEFAULTS, ModelChoice
from planvault.llm.gateway import Gateway
from planvault.llm.scripted import Refusal, ScriptedServer
from planvault.plan.schema import wire_schema
from planvault.planner.service import PlannerService
from planvault.redact import Redactor
from serve_apps.planner import PlannerArgs, PlannerReplica
from tests.unit.planner.tools import SHOP

SECRET = "canary-7f3a91-value"
GOOD = """{"slots": [], "nodes": [
 {"id": "n1", "kind": "call", "target": "order", "tool": "get_order",
  "args": [{"name": "order_id", "expr": "7"}], "on_error": null},
 {"id": "n2", "kind": "reply", "expr": "order.status"}], "body": ["n1", "n2"]}"""
BAD = """{"slots": [], "nodes": [
 {"id": "n1", "kind": "call", "target": "order", "tool": "get_ordr",
  "args": [{"name": "order_id", "expr": "7"}], "on_error": null},
 {"id": "n2", "kind": "call", "target": null, "tool": "cancel_order",
  "args": [{"name": "order", "expr": "7"}], "on_error": null},
 {"id": "n3", "kind": "reply", "expr": "ordr.status"}], "body": ["n1", "n2", "n3"]}"""


def request() -> PlanRequest:
    return PlanRequest(
        prompt="What is the status of order 7?",
        tools=SHOP,
        secret_names=("SHOP_TOKEN",),
        run_started_at=datetime(2026, 5, 1, tzinfo=UTC),
    )


def service(server: ScriptedServer, repairs: int = 2) -> PlannerService:
    choice = ModelChoice("scripted", server.base_url, "sk-key")
    return PlannerService(Gateway(choice, timeout_s=20, redact=Redactor([SECRET]).clean), repairs=repairs)


async def test_a_strict_schema_is_asked_for_and_a_valid_answer_is_a_plan() -> None:
    with ScriptedServer([GOOD]) as server:
        outcome = await service(server).plan(request())
    assert outcome.plan is not None
    assert (outcome.planner, outcome.prompt_version, outcome.attempts) == ("openai/scripted", "structured_json.v1", 1)
    form = server.requests[0].body["response_format"]
    assert isinstance(form, dict)
    assert form["json_schema"] == {"name": "plan", "strict": True, "schema": wire_schema()}


async def test_every_problem_of_the_first_answer_stands_in_the_second_request() -> None:
    with ScriptedServer([BAD, GOOD]) as server:
        outcome = await service(server).plan(request())
    assert outcome.plan is not None
    assert outcome.attempts == 2
    assert outcome.usage.requests == 2
    told = server.requests[1].text
    for expected in (
        "UNKNOWN_TOOL",
        "UNKNOWN_PARAMETER",
        "MISSING_PARAMETER",
        "UNDEFINED_VARIABLE",
        "line 2",
        "line 6",
    ):
        assert expected in told


async def test_a_server_without_structured_output_is_planned_with_in_the_python_spelling_from_then_on() -> None:
    refused = Refusal(400, "response_format unsupported")
    program = "<script>\norder = get_order(order_id=7)\nreply(order.status)\n</script>"
    with ScriptedServer([refused, refused, GOOD, program]) as server:
        subject = service(server)
        first = await subject.plan(request())
        second = await subject.plan(request())
    assert first.plan == second.plan
    assert (first.mode.value, second.mode.value) == ("structured_json", "python_dsl")


async def test_secret_values_are_in_no_request_and_their_names_are() -> None:
    leaking = request().model_copy(update={"prompt": f"Use {SECRET} to show order 7", "context_vars": {"note": SECRET}})
    with ScriptedServer([BAD.replace("7", f"'{SECRET}'"), GOOD]) as server:
        await service(server).plan(leaking)
    assert len(server.requests) == 2
    for sent in server.requests:
        assert SECRET not in sent.text
        assert "SHOP_TOKEN" in sent.text


async def test_a_model_that_fails_fails_the_plan() -> None:
    with ScriptedServer([Refusal(500, "overloaded")]) as server, pytest.raises(LlmFailed, match="overloaded"):
        await service(server).plan(request())


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Redactor]:
    """Redactors of replicas that started; their logging stays out of the test run's."""
    redactors: list[Redactor] = []

    def start_logging(*_: object) -> Redactor:
        redactors.append(Redactor())
        return redactors[-1]

    monkeypatch.setattr("serve_apps.planner.start_logging", start_logging)
    return redactors


async def test_the_replica_speaks_json_and_plans_without_a_model_by_default(
    monkeypatch: pytest.MonkeyPatch, started: list[Redactor]
) -> None:
    vendors = [variable for variable, _ in VENDOR_DEFAULTS]
    ours = ["PLANVAULT_LLM_BASE_URL", "PLANVAULT_LLM_MODEL", "OPENAI_BASE_URL", "OPENAI_API_BASE"]
    for variable in (*vendors, *ours):
        monkeypatch.delenv(variable, raising=False)
    replica = PlannerReplica(PlannerArgs())
    answer = PlanOutcome.model_validate_json(await replica.plan(request().model_dump_json(by_alias=True).encode()))
    await replica.check_health()
    assert answer.planner == "builtin"
    assert answer.plan is not None


async def test_the_replica_takes_its_model_from_the_environment_and_masks_its_key_in_logs(
    monkeypatch: pytest.MonkeyPatch, started: list[Redactor]
) -> None:
    monkeypatch.setenv("PLANVAULT_LLM_API_KEY", "key-of-the-operator")
    with ScriptedServer([GOOD], models=("from-the-list",)) as server:
        monkeypatch.setenv("PLANVAULT_LLM_BASE_URL", server.base_url)
        monkeypatch.delenv("PLANVAULT_LLM_MODEL", raising=False)
        answer = PlanOutcome.model_validate_json(
            await PlannerReplica(PlannerArgs()).plan(request().model_dump_json().encode())
        )
    assert answer.planner == "openai/from-the-list"
    assert "key-of-the-operator" not in started[0].clean("Bearer key-of-the-operator was refused")

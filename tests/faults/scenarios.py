"""The plans that die at every boundary, their tools, and what people answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.commands import Action, CommandKind, Resolution
from models.runtime_policy import ApprovalRule, RuntimeApproval, RuntimePolicy
from models.tools import Idempotency
from tests.faults.service import result_of

TOOLS: dict[str, Idempotency] = {
    "get_order": Idempotency.SAFE,
    "get_stock": Idempotency.SAFE,
    "set_status": Idempotency.DECLARED,
    "pay": Idempotency.KEYED,
    "send_mail": Idempotency.NONE,
}
SIGNAL = {"said": "went"}
KINDS = {
    "get_order": "orders",
    "get_stock": "stock",
    "set_status": "status",
    "pay": "payments",
    "send_mail": "mails",
}
"""Tool → the first part of its path behind the case, under which the service counts it."""

_EVERYTHING = """
who = slot("Who is told?", type="string")
order = get_order(case="{case}", id="1")
total = 0
if order.open:
    stock = get_stock(case="{case}", item="a")
    word = wait_for_signal(name="go")
    sleep(seconds=0.05)
    for line in order.lines:
        set_status(case="{case}", item=line.id, state="sold")
        paid = pay(case="{case}", item=line.id)
        total = total + paid.amount
        mail = send_mail(case="{case}", item=line.id, to=who)
    reply(f"{{who}} pays {{total}}, {{stock.left}} left, {{word.said}}")
else:
    fail("The order is closed")
"""

_FAILING = """
order = get_order(case="{case}", id="1")
send_mail(case="{case}", item="x", to="ada")
none = attempt(get_order(case="{case}", id="missing"))
if len(order.lines) > 5:
    reply("many")
else:
    fail("Too few lines")
"""

_READING = """
total = 0
for item in ["a", "b", "c", "d"]:
    stock = get_stock(case="{case}", item=item)
    order = get_order(case="{case}", id=item)
    total = total + stock.left + len(order.lines)
reply(f"{{total}}")
"""

PROGRAMS = {"everything": _EVERYTHING, "failing": _FAILING, "reading": _READING}
AT_ONCE = frozenset({"reading"})
"""Scenarios whose calls run side by side (X8): in which append a result lands differs from run to run."""

POLICY = RuntimePolicy(
    runtime_approval=RuntimeApproval(rules=(ApprovalRule(id="money", tools=("pay",), message="Pay?"),))
)


def prompt(scenario: str, case: str) -> str:
    return f"{scenario} {case}"


def program(text: str) -> str:
    """The planner's answer to a prompt."""
    scenario, case = text.split(" ")
    return f"<script>{PROGRAMS[scenario].format(case=case)}</script>"


def answer(pending: Mapping[str, Any]) -> tuple[CommandKind, Action]:
    """What a person says to a run's open question; the operator knows what the service answered."""
    match pending["kind"]:
        case "slots":
            return CommandKind.FILL_SLOTS, Action(actor="tester", values={"who": "Ada"})
        case "plan":
            return CommandKind.APPROVE, Action(actor="tester", plan_hash=pending["planHash"])
        case "tool":
            return CommandKind.APPROVE_TOOL, Action(actor="tester", correlation_id=pending["correlationId"])
        case "recovery":
            result = result_of(KINDS[pending["tool"]])
            return CommandKind.RESOLVE, Action(actor="tester", resolution=Resolution.MARK_DONE, result=result)
        case unknown:
            raise AssertionError(f"nobody answers {unknown}")


def document() -> dict[str, Any]:
    """The counting service's OpenAPI description."""

    def operation(name: str, body: tuple[str, ...] = (), **extensions: Any) -> dict[str, Any]:
        text = {"type": "string"}
        found: dict[str, Any] = {"operationId": name, "responses": {"200": {"description": "done"}}, **extensions}
        if body:
            schema = {"type": "object", "required": list(body), "properties": dict.fromkeys(body, text)}
            found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        return found

    def parameter(name: str) -> dict[str, Any]:
        return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}

    keyed = {"x-idempotency-header": "Idempotency-Key"}
    declared = {"x-planvault-idempotency": "declared"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Counting", "version": "1"},
        "paths": {
            "/{case}/orders/{id}": {
                "parameters": [parameter("case"), parameter("id")],
                "get": operation("get_order"),
            },
            "/{case}/stock/{item}": {
                "parameters": [parameter("case"), parameter("item")],
                "get": operation("get_stock"),
            },
            "/{case}/status/{item}": {
                "parameters": [parameter("case"), parameter("item")],
                "put": operation("set_status", ("state",), **declared),
            },
            "/{case}/payments": {
                "parameters": [parameter("case")],
                "post": operation("pay", ("item",), **keyed),
            },
            "/{case}/mails": {
                "parameters": [parameter("case")],
                "post": operation("send_mail", ("item", "to")),
            },
        },
    }

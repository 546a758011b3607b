"""The catalog of the workloads: tools that cost nothing, so that what is left is the platform."""

from __future__ import annotations

from models.ids import IntegrationId, OrgId, ToolId
from models.tools import (
    ApprovalPolicy,
    Binding,
    HttpBinding,
    Idempotency,
    NativeBinding,
    ParamLocation,
    RiskClass,
    Tool,
    ToolParam,
)
from planvault.ports import Ids

RECORD = "record"  # returns its argument; nothing may repeat it, and nothing may be done before its turn
AGAIN = "record_again"  # the same, declared harmless to repeat
CAREFUL = "careful"  # the same, asked about every time
PING = "ping"  # one GET, answered at once
SLOW = "slow_read"  # one GET, answered after 100 ms
EFFECT = "effect"  # one POST with an effect in the world that must not happen twice

_NOOP = NativeBinding(function="noop")
_IN_BODY = ToolParam(name="value", location=ParamLocation.BODY, body_path=("value",))
_IN_QUERY = ToolParam(name="value", location=ParamLocation.QUERY, wire_name="value")


def catalog(ids: Ids, org_id: OrgId, integration_id: IntegrationId) -> list[Tool]:
    def tool(name: str, binding: Binding, param: ToolParam, **fields: object) -> Tool:
        return Tool.model_validate(
            {
                "id": ToolId(ids.new()),
                "org_id": org_id,
                "integration_id": integration_id,
                "name": name,
                "group": "benchmark",
                "params": (param,),
                "binding": binding,
                **fields,
            }
        )

    write = {"risk": RiskClass.WRITE, "idempotency": Idempotency.NONE}
    read = {"risk": RiskClass.READ, "idempotency": Idempotency.SAFE}
    post = HttpBinding(method="POST", path="/effect", content_type="application/json", body_required=True)
    return [
        tool(RECORD, _NOOP, _IN_BODY, **write),
        tool(AGAIN, _NOOP, _IN_BODY, **write | {"idempotency": Idempotency.DECLARED}),
        tool(CAREFUL, _NOOP, _IN_BODY, **write, approval_policy=ApprovalPolicy.ALWAYS),
        tool(PING, HttpBinding(method="GET", path="/ping"), _IN_QUERY, **read),
        tool(SLOW, HttpBinding(method="GET", path="/slow"), _IN_QUERY, **read),
        tool(EFFECT, post, _IN_BODY, **write),
    ]

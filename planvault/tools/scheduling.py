"""`schedule_execution`: a plan sends a prompt later, to a session of its own or to the one that it runs in.

The prompt and the context go to the planner when the job is due, so they take no secrets. `secretNames` names those of
the session that the new one is to have; their values go from the session into the encrypted job and nowhere else.
"""

import json
from collections.abc import Mapping
from datetime import datetime

from models.base import JsonObject, JsonValue
from models.schedules import JobTarget
from models.tools import OutputField, ParamLocation, ToolParam
from planvault.errors import Conflict, InvalidInput, NotFound
from planvault.ports import ScheduleOrder, Scheduling, ToolCall
from planvault.tools.arguments import BadArgument

NAME = "schedule_execution"
SUMMARY = "Schedules a prompt for later: in a new session, or resuming this one. Give delaySeconds or runAt"
MAX_PROMPT = 32_000
MAX_SECRETS = 50
MAX_CONTEXT = 256 * 1024


def _param(name: str, description: str, schema: JsonObject, *, required: bool = False) -> ToolParam:
    return ToolParam(
        name=name,
        location=ParamLocation.BODY,
        body_path=(name,),
        schema_=schema,
        description=description,
        required=required,
    )


PARAMS = (
    _param("prompt", "What to do then, in natural language", {"type": "string", "minLength": 1}, required=True),
    _param("delaySeconds", "Seconds from now", {"type": "number", "minimum": 0}),
    _param("runAt", "Date and time with offset, RFC 3339", {"type": "string", "format": "date-time"}),
    _param(
        "target",
        "new_session_prompt (the default) or resume_session: this session",
        {"type": "string", "enum": [target.value for target in JobTarget]},
    ),
    _param("contextVars", "Facts for the new session's planner; no secrets", {"type": "object"}),
    _param("name", "What people will see in the list of jobs", {"type": "string", "maxLength": 200}),
    _param(
        "secretNames",
        "Names of secrets that the new session gets as this one has them",
        {"type": "array", "items": {"type": "string"}, "maxItems": MAX_SECRETS},
    ),
)
OUTPUTS = (OutputField(path=("jobId",), type="string"), OutputField(path=("runAt",), type="string"))


class ScheduleExecution:
    """What the tool does, over the Scheduling port."""

    def __init__(self, scheduling: Scheduling) -> None:
        self._scheduling = scheduling

    async def __call__(self, call: ToolCall, args: Mapping[str, JsonValue]) -> JsonValue:
        """`{jobId, runAt}`; the same for every attempt of the step. Raises BadArgument, Unavailable."""
        if call.scope is None:
            raise BadArgument("only a run can schedule")
        order = ScheduleOrder(
            key=call.idempotency_key,
            prompt=_prompt(args),
            target=_target(args),
            run_at=_instant(args),
            delay_s=_delay(args),
            context_vars=_context(args),
            name=_text(args, "name", 200),
            secrets=await _secrets(call, args),
            asked_by=call.asked_by,
        )
        if (order.run_at is None) == (order.delay_s is None):
            raise BadArgument("give exactly one of delaySeconds and runAt")
        try:
            made = await self._scheduling.schedule(call.scope, order)
        except InvalidInput as fault:
            raise BadArgument(
                "; ".join(f"{pointer.lstrip('/')} {detail}" for pointer, detail in fault.errors)
            ) from fault
        except Conflict as fault:  # the project has its fill of jobs
            raise BadArgument(fault.detail) from fault
        return {"jobId": str(made.job_id), "runAt": made.run_at.isoformat()}


def _prompt(args: Mapping[str, JsonValue]) -> str:
    prompt = _text(args, "prompt", MAX_PROMPT)
    if not prompt.strip():
        raise BadArgument("prompt must say something")
    return prompt


def _text(args: Mapping[str, JsonValue], name: str, longest: int) -> str:
    value = args.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest or "\x00" in value:
        raise BadArgument(f"{name} is a text of at most {longest} characters")
    return value


def _target(args: Mapping[str, JsonValue]) -> JobTarget:
    value = args.get("target")
    try:
        return JobTarget.NEW_SESSION_PROMPT if value is None else JobTarget(str(value))
    except ValueError:
        raise BadArgument(f"target is {' or '.join(JobTarget)}") from None


def _instant(args: Mapping[str, JsonValue]) -> datetime | None:
    value = args.get("runAt")
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise BadArgument("runAt is a date and time with its offset, such as 2027-03-01T09:00:00Z")
    return at


def _delay(args: Mapping[str, JsonValue]) -> float | None:
    value = args.get("delaySeconds")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadArgument("delaySeconds is a number")
    return float(value)


def _context(args: Mapping[str, JsonValue]) -> JsonObject:
    value = args.get("contextVars")
    if value is None:
        return {}
    if not isinstance(value, dict) or len(json.dumps(value)) > MAX_CONTEXT:
        raise BadArgument(f"contextVars is an object of at most {MAX_CONTEXT} characters in JSON")
    return value


async def _secrets(call: ToolCall, args: Mapping[str, JsonValue]) -> dict[str, str]:
    names = args.get("secretNames") or []
    if not isinstance(names, list) or len(names) > MAX_SECRETS:
        raise BadArgument(f"secretNames is a list of at most {MAX_SECRETS} names")
    found: dict[str, str] = {}
    for name in names:
        if not isinstance(name, str):
            raise BadArgument("secretNames is a list of names")
        try:
            found[name] = await call.secret(name)
        except NotFound as fault:
            raise BadArgument(f"secretNames: {fault.detail}") from fault
    return found

"""Answers to a run's open question, and orders to stop it."""

from fastapi import APIRouter
from starlette.responses import Response

from models.audit import AuditAction
from models.base import JsonObject
from models.ids import RunId
from models.tenants import SessionScope
from planvault.errors import Conflict, NotAllowed, PlanVaultError
from planvault.policy.voting import Voter
from planvault.storage.commands import CLOSED
from planvault.storage.idempotency import Answer
from planvault.storage.pool import Connection
from planvault.storage.tenancy import within
from serve_apps import pending
from serve_apps.changes import record
from serve_apps.dependencies import ApiDeps, Deps, InSession, OnceKey, Speaker, answers_of
from serve_apps.routes.answers import problems, respond, wire
from serve_apps.schemas.actions import ActionAccepted, PostAction

router = APIRouter(prefix="/sessions/{sessionId}/actions", tags=["actions"])


@router.post("", status_code=202, response_model=ActionAccepted, responses=problems(409))
async def post_action(body: PostAction, scope: InSession, deps: Deps, key: OnceKey, speaker: Speaker) -> Response:
    """Approve or reject a plan or a tool call, fill or cancel slots, cancel a run, resolve a call that was lost."""
    action = body.command(speaker)
    shards: list[int] = []
    refused: list[PlanVaultError] = []

    async def enqueue(connection: Connection) -> Answer:
        held = await deps.commands.hold(connection, scope)
        if body.run_id is not None:
            await deps.runs.get(scope, RunId(body.run_id), connection)
        open_runs = await deps.runs.open_runs(connection, scope)
        if not (held.is_open or open_runs):  # a closed session's last run can still need an operator
            raise Conflict(CLOSED)
        waiting = await deps.commands.waiting(connection, scope)
        try:
            run = pending.target(body, open_runs, waiting, deps.clock.now(), speaker)
        except (Conflict, NotAllowed) as fault:
            refused.append(fault)
            raise
        # Bound to the run that was judged: a later run must not be approved by an answer to this one.
        await deps.commands.enqueue(
            connection, scope, body.action.command, action.model_copy(update={"run_id": run.id if run else None})
        )
        shards.append(held.shard)
        return Answer(202, wire(ActionAccepted(action=body.action, run_id=run.id if run else None)))

    try:
        answer = await deps.idempotency.once(answers_of(scope), key, enqueue)
    finally:
        for fault in refused:  # what it was judged in is rolled back: this stands by itself
            await _tell(deps, scope, body, speaker, fault)
    for shard in shards:
        await deps.commands.wake(shard)
    return respond(answer)


async def _tell(deps: ApiDeps, scope: SessionScope, body: PostAction, speaker: Voter, fault: PlanVaultError) -> None:
    """In the words that the engine has for an action that it refuses (planvault.engine.recorder)."""
    run_id = None if body.run_id is None else str(body.run_id)
    what: JsonObject = {"runId": run_id, "action": body.action.command.value, "code": fault.code, "why": fault.detail}
    if speaker.proven:
        what["proven"] = True
    async with within(deps.pool, scope) as connection:
        await record(deps, connection, scope, AuditAction.ACTION_REFUSED, speaker.actor, what)

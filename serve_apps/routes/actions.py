"""Answers to a run's open question, and orders to stop it."""

from fastapi import APIRouter
from starlette.responses import Response

from models.ids import RunId
from planvault.errors import Conflict
from planvault.policy.voting import Voter
from planvault.storage.commands import CLOSED
from planvault.storage.idempotency import Answer
from planvault.storage.pool import Connection
from serve_apps import pending
from serve_apps.dependencies import Actor, Deps, InSession, OnceKey, Operator, answers_of
from serve_apps.routes.answers import problems, respond, wire
from serve_apps.schemas.actions import ActionAccepted, PostAction

router = APIRouter(prefix="/sessions/{sessionId}/actions", tags=["actions"])


@router.post("", status_code=202, response_model=ActionAccepted, responses=problems(409))
async def post_action(
    body: PostAction, scope: InSession, deps: Deps, key: OnceKey, actor: Actor, operator: Operator
) -> Response:
    """Approve or reject a plan or a tool call, fill or cancel slots, cancel a run, resolve a call that was lost."""
    action = body.command(actor, operator)
    voter = Voter(operator, actor)
    shards: list[int] = []

    async def enqueue(connection: Connection) -> Answer:
        held = await deps.commands.hold(connection, scope)
        if body.run_id is not None:
            await deps.runs.get(scope, RunId(body.run_id), connection)
        open_runs = await deps.runs.open_runs(connection, scope)
        if not (held.is_open or open_runs):  # a closed session's last run can still need an operator
            raise Conflict(CLOSED)
        waiting = await deps.commands.waiting(connection, scope)
        run = pending.target(body, open_runs, waiting, deps.clock.now(), voter)
        # Bound to the run that was judged: a later run must not be approved by an answer to this one.
        await deps.commands.enqueue(
            connection, scope, body.action.command, action.model_copy(update={"run_id": run.id if run else None})
        )
        shards.append(held.shard)
        return Answer(202, wire(ActionAccepted(action=body.action, run_id=run.id if run else None)))

    answer = await deps.idempotency.once(answers_of(scope), key, enqueue)
    for shard in shards:
        await deps.commands.wake(shard)
    return respond(answer)

"""Answers to a run's open question, and orders to stop it."""

from fastapi import APIRouter
from starlette.responses import Response

from models.ids import RunId
from planvault.storage.idempotency import Answer
from planvault.storage.pool import Connection
from serve_apps import pending
from serve_apps.dependencies import Actor, Deps, OnceKey, WritesSession, answers_of
from serve_apps.routes.answers import problems, respond, wire
from serve_apps.schemas.actions import ActionAccepted, PostAction

router = APIRouter(prefix="/sessions/{sessionId}/actions", tags=["actions"])


@router.post("", status_code=202, response_model=ActionAccepted, responses=problems(409))
async def post_action(body: PostAction, scope: WritesSession, deps: Deps, key: OnceKey, actor: Actor) -> Response:
    """Approve or reject a plan, fill or cancel its slots, cancel a run, resolve a call of unknown outcome."""
    action = body.command(actor)
    shards: list[int] = []

    async def enqueue(connection: Connection) -> Answer:
        shard = await deps.commands.hold_open(connection, scope)
        if body.run_id is not None:
            await deps.runs.get(scope, RunId(body.run_id), connection)
        open_runs = await deps.runs.open_runs(connection, scope)
        waiting = await deps.commands.waiting(connection, scope)
        run = pending.target(body, open_runs, waiting, deps.clock.now())
        kind = body.action.command
        assert kind is not None, "pending.target refuses actions without a command"
        # Bound to the run that was judged: a later run must not be approved by an answer to this one.
        await deps.commands.enqueue(
            connection, scope, kind, action.model_copy(update={"run_id": run.id if run else None})
        )
        shards.append(shard)
        return Answer(202, wire(ActionAccepted(action=body.action, run_id=run.id if run else None)))

    answer = await deps.idempotency.once(answers_of(scope), key, enqueue)
    for shard in shards:
        await deps.commands.wake(shard)
    return respond(answer)

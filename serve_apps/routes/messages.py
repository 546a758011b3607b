"""Prompts: recorded here, taken up by the session's host."""

from fastapi import APIRouter
from starlette.responses import Response

from models.commands import CommandKind, Message
from models.ids import MessageId
from planvault.storage.idempotency import Answer
from planvault.storage.pool import Connection
from serve_apps.dependencies import Deps, InSession, OnceKey, Speaker, answers_of
from serve_apps.routes.answers import problems, respond, wire
from serve_apps.schemas.messages import MessageAccepted, PostMessage

router = APIRouter(prefix="/sessions/{sessionId}/messages", tags=["messages"])


@router.post("", status_code=202, response_model=MessageAccepted, responses=problems(409))
async def post_message(body: PostMessage, scope: InSession, deps: Deps, key: OnceKey, speaker: Speaker) -> Response:
    """Send a prompt. Prompts of one session queue up; follow this one on `/chat` or `/history`."""
    message = Message(
        message_id=MessageId(deps.ids.new()),
        text=body.message,
        actor=speaker.actor,
        operator=speaker.operator,
        proven=speaker.proven,
    )
    shards: list[int] = []

    async def enqueue(connection: Connection) -> Answer:
        shards.append(await deps.commands.hold_open(connection, scope))
        await deps.commands.enqueue(connection, scope, CommandKind.MESSAGE, message)
        return Answer(202, wire(MessageAccepted(message_id=message.message_id)))

    answer = await deps.idempotency.once(answers_of(scope), key, enqueue)
    for shard in shards:
        await deps.commands.wake(shard)
    return respond(answer)

"""What people say of a run that has ended."""

from fastapi import APIRouter

from models.ids import RunId
from planvault.errors import Conflict
from planvault.policy.voting import identity
from planvault.storage.tenancy import within
from serve_apps.dependencies import Deps, InSession, Speaker
from serve_apps.routes.answers import problems
from serve_apps.schemas.scenarios import FeedbackOut, PostFeedback

router = APIRouter(prefix="/sessions/{sessionId}/feedback", tags=["feedback"])


@router.post("", responses=problems(409))
async def post_feedback(body: PostFeedback, scope: InSession, deps: Deps, speaker: Speaker) -> FeedbackOut:
    """Like or dislike an ended run. One vote a run and person (`X-Operator-Id`, else the key): another replaces it, but
    none that is only claimed replaces that of somebody who had signed in."""
    run_id = RunId(body.run_id)
    voter = identity(speaker)
    async with within(deps.pool, scope) as connection:
        run = await deps.runs.get(scope, run_id, connection)
        if run.is_open:
            raise Conflict(f"The run is {run.status.value}: feedback is for runs that have ended.")
        vote = (run_id, voter, body.value, body.comment, deps.clock.now())
        given = await deps.feedback.give(connection, scope, *vote, proven=speaker.proven)
    return FeedbackOut.of(given)

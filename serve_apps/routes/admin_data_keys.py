"""The organisation's data keys: how many of which state, and their rotation."""

from fastapi import APIRouter

from models.audit import AuditAction
from planvault.storage.rotation import Rotations
from planvault.storage.tenancy import within
from serve_apps.changes import changed
from serve_apps.dependencies import Actor, Deps, Organisation
from serve_apps.routes.answers import problems
from serve_apps.schemas.data_keys import DataKeysOut, KeyCountOut, RotateDataKeys, RotationOut

router = APIRouter(prefix="/dek", tags=["admin: data keys"])


@router.get("", responses=problems())
async def get_data_keys(scope: Organisation, deps: Deps) -> DataKeysOut:
    """Counts by purpose, generation and status, and how far the last rotation is."""
    rotations = Rotations(deps.pool, deps.ids)
    newest = await rotations.newest(scope)
    return DataKeysOut(
        keys=[KeyCountOut.of(count) for count in await rotations.keys(scope)],
        rotation=None if newest is None else RotationOut.of(newest),
    )


@router.post("/rotate", status_code=202, responses=problems(409))
async def rotate_data_keys(
    scope: Organisation, deps: Deps, actor: Actor, body: RotateDataKeys | None = None
) -> RotationOut:
    """Make new keys for the organisation and its external users, seal everything with them, and destroy the old ones.

    Goes on behind the answer, without an interruption of anything; GET shows how far it is. One at a time: 409.
    """
    reason = body.reason if body else ""
    told = await changed(deps, scope, AuditAction.DATA_KEYS_ROTATED, actor, {"reason": reason})
    async with within(deps.pool, scope) as connection:
        begun = await Rotations(deps.pool, deps.ids).begin(connection, scope, reason)
        await told(connection)
    return RotationOut.of(begun)

"""What somebody who goes was shown of keys and tokens: told in the answer, ended on request, written down each."""

from typing import Annotated

from fastapi import Query

from models.access import LeftBehind, Maker
from models.audit import AuditAction
from models.base import JsonObject
from models.tenants import OrgScope, ProjectScope
from planvault.storage.key_makers import left_behind
from planvault.storage.pool import Connection
from serve_apps.changes import record
from serve_apps.dependencies import ApiDeps

WithKeys = Annotated[
    bool,
    Query(alias="withKeys", description="End what they were shown of keys and service tokens as well, within seconds."),
]


async def let_go(
    deps: ApiDeps, connection: Connection, scope: OrgScope, maker: Maker, actor: str, *, end: bool
) -> LeftBehind:
    """In the transaction in which `maker` goes, after they have. `end`: what they were shown ends with them."""
    left = await left_behind(connection, scope, maker, end=end)
    if not end:
        return left
    whose: JsonObject = {"madeBy": str(maker.token_id or maker.user_id)}
    for key in left.keys:
        place = ProjectScope(org_id=scope.org_id, project_id=key.project_id)
        what: JsonObject = {"key": str(key.id), "name": key.name, "primary": key.is_primary}
        await record(
            deps, connection, place, AuditAction.KEY_REVOKED, actor, {**what, "oldTextOnly": key.old_text_only, **whose}
        )
    for token in left.tokens:
        ended: JsonObject = {"token": str(token.id), "name": token.name, "oldTextOnly": token.old_text_only}
        await record(deps, connection, scope, AuditAction.SERVICE_TOKEN_REVOKED, actor, {**ended, **whose})
    return left

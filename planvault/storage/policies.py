"""The policy that a run starts under, read in one query."""

import orjson

from models.policies import OrgSettings, ProjectSettings, SessionSettings
from models.tenants import SessionScope
from planvault.errors import NotFound
from planvault.ports import Keyring, RunPolicy
from planvault.storage.pool import Pool
from planvault.storage.queries import load
from planvault.storage.sessions import context_seal
from planvault.storage.tenancy import scoped

_SQL = load("planvault.storage", "sql/policies.sql")


class PostgresPolicies:
    """Implements Policies."""

    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def of_run(self, scope: SessionScope) -> RunPolicy:
        row = await scoped(self._pool, scope).fetchrow(_SQL["of_run"], scope.org_id, scope.project_id, scope.session_id)
        if row is None:
            raise NotFound("The session is gone.")
        cipher = await self._keyring.session_cipher(scope)
        context = orjson.loads(cipher.open(row["context"], context_seal(scope.session_id)))
        return RunPolicy(
            project=ProjectSettings.model_validate(row["project"]),
            session=SessionSettings.model_validate(row["session"]),
            context_vars=context["contextVars"],
            organization=OrgSettings.model_validate(row["organization"]),
            tags=tuple(row["tags"]),
        )

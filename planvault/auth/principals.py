"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from models.ids import KeyId, OrgId, ProjectId
from models.tenants import OrgScope, ProjectScope
from planvault.auth import scopes
from planvault.errors import NotAllowed, NotFound


class PrincipalKind(StrEnum):
    PROJECT_KEY = "project_key"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose credential was checked. `actor` is its label in history and audit; it holds no credential.

    The static admin token belongs to no organisation: it may work on each of them, through the Admin API.
    """

    kind: PrincipalKind
    actor: str
    org_id: OrgId | None = None
    project_id: ProjectId | None = None
    key_id: KeyId | None = None
    scopes: tuple[str, ...] = ()

    def in_project(self, project_id: ProjectId, wanted: str) -> ProjectScope:
        """The scope to query with. Another project's id answers as if it did not exist.

        Raises NotFound for a project that is not the key's, NotAllowed where the key lacks `wanted`.
        """
        if self.kind is not PrincipalKind.PROJECT_KEY or self.org_id is None:
            raise NotAllowed("The Runtime API takes a project key (sk_live_…).")
        if self.project_id != project_id:
            raise NotFound("There is no such project for this key")
        if not scopes.grants(self.scopes, wanted):
            raise NotAllowed(f"This key lacks the scope {wanted}")
        return ProjectScope(org_id=self.org_id, project_id=project_id)

    def administers(self, org_id: OrgId) -> OrgScope:
        """The scope of an Admin API call. Raises NotAllowed for a project key, whichever organisation it names."""
        if self.kind is not PrincipalKind.ADMIN:
            raise NotAllowed("The Admin API takes the admin token.")
        return OrgScope(org_id=org_id)

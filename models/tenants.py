"""Tenants: organisations, projects, and who is asking."""

from models.base import Frozen
from models.ids import OrgId, ProjectId, SessionId


class OrgScope(Frozen):
    """The organisation on whose rows a query may work. Every repository call takes a scope."""

    org_id: OrgId


class ProjectScope(OrgScope):
    project_id: ProjectId


class SessionScope(ProjectScope):
    session_id: SessionId

"""Sessions on the wire."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import orjson
from pydantic import BeforeValidator, Field, StrictBool, StringConstraints

from models.plans import PlannerMode
from models.policies import SessionSettings
from models.runs import SessionStatus
from planvault.storage.sessions import SessionDraft, SessionRecord
from serve_apps.schemas.base import Body, JsonDocument, Name, Reply, Text

SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
SecretValue = Annotated[Text, StringConstraints(min_length=1, max_length=65_536)]
Secrets = Annotated[dict[SecretName, SecretValue], Field(max_length=200)]


def json_text(value: object) -> object:
    """Low-code form fields can send text only: JSON spelled out in a string is read as what it says."""
    if isinstance(value, str):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value  # and the field's own type says what is wrong with it
    return value


JsonText = BeforeValidator(json_text)


class SessionSettingsIn(Body):
    auto_approve_plan: StrictBool = False
    planner_mode: PlannerMode | None = None
    planner_model: Name | None = None


class CreateSession(Body):
    context_vars: Annotated[JsonDocument, JsonText] = Field(
        default_factory=dict, description="Facts for the planner; never secrets. A string holding JSON is read as JSON."
    )
    external_user_id: Name | None = Field(default=None, description="Kept only as a keyed hash.")
    tags: Annotated[list[Name], JsonText] = Field(default_factory=list, max_length=50)
    metadata: JsonDocument = Field(default_factory=dict)
    secrets: Secrets = Field(default_factory=dict, description="Bound at call time; never shown to a model.")
    settings: SessionSettingsIn = SessionSettingsIn()

    def draft(self) -> SessionDraft:
        settings = SessionSettings(
            auto_approve_plan=self.settings.auto_approve_plan,
            planner_mode=self.settings.planner_mode,
            planner_model=self.settings.planner_model,
        )
        tags = tuple(dict.fromkeys(self.tags))
        return SessionDraft(self.context_vars, self.metadata, tags, self.external_user_id, settings)


class PatchSession(Body):
    status: Literal["closed"]


class PutSecrets(Body):
    secrets: Secrets


class SessionOut(Reply):
    id: UUID
    status: SessionStatus
    tags: list[str]
    has_external_user: bool
    context_vars: JsonDocument
    metadata: JsonDocument
    settings: SessionSettings
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, record: SessionRecord) -> "SessionOut":
        return cls(
            id=record.id,
            status=record.status,
            tags=list(record.tags),
            has_external_user=record.has_external_user,
            context_vars=record.context_vars,
            metadata=record.metadata,
            settings=record.settings,
            created_at=record.created_at,
            updated_at=record.updated_at,
        )

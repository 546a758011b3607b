"""Exports and erasures on the wire."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StrictBool, StringConstraints, model_validator

from models.ids import ProjectId
from models.privacy import PrivacyRequest, RequestKind, RequestState, Target
from planvault.storage.privacy import Draft
from serve_apps.schemas.base import Body, Reply, Text

# As the Runtime API takes it when a session is made.
ExternalUserId = Annotated[Text, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]


class _Request(Body):
    project_id: UUID | None = Field(default=None, description="The project; only for target `project`.")
    external_user_id: ExternalUserId | None = Field(
        default=None, description="As sessions were made with it; only for target `external_user`."
    )

    def _check(self, target: Target, user_id: UUID | None = None) -> None:
        needed = {
            Target.EXTERNAL_USER: ("externalUserId", self.external_user_id),
            Target.PROJECT: ("projectId", self.project_id),
            Target.MEMBER: ("userId", user_id),
        }
        for each, (name, value) in needed.items():
            if (value is None) == (target is each):
                raise ValueError(f"{name} is {'required' if target is each else 'not'} for target {target.value}")


class CreateExport(_Request):
    target: Annotated[Target, Field(json_schema_extra={"enum": ["external_user", "project", "organization"]})]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.target is Target.MEMBER:
            raise ValueError("members are in the export of their organisation")
        self._check(self.target)
        return self

    def draft(self, actor: str) -> Draft:
        project = None if self.project_id is None else ProjectId(self.project_id)
        return Draft(RequestKind.EXPORT, self.target, actor, project, self.external_user_id)


class CreateErasure(_Request):
    target: Target
    user_id: UUID | None = Field(
        default=None, description="Who is, or was, a member of the organisation; only for target `member`."
    )
    confirm: Text | None = Field(
        default=None,
        max_length=200,
        description="The organisation's name; for target `organization` alone, and needed there.",
    )
    immediately: StrictBool = Field(
        default=False, description="Of target `organization`: without the seven days in which it can be restored."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        self._check(self.target, self.user_id)
        if (self.target is Target.ORGANIZATION) != (self.confirm is not None):
            need = "required" if self.confirm is None else "not"
            raise ValueError(f"confirm is {need} for target {self.target.value}")
        if self.immediately and self.target is not Target.ORGANIZATION:
            raise ValueError("immediately is for target organization: the others do not wait")
        return self

    def draft(self, actor: str) -> Draft:
        project = None if self.project_id is None else ProjectId(self.project_id)
        return Draft(RequestKind.ERASURE, self.target, actor, project, self.external_user_id)


class _RequestOut(Reply):
    id: UUID
    target: Target
    project_id: UUID | None
    state: RequestState
    stage: str = Field(description="Where the work stands; empty before it began. See docs/privacy.md.")
    subjects: list[str] = Field(
        description="Pseudonyms (hex) of the external user, or the member's user id; the identifier is not kept."
    )
    counts: dict[str, int] = Field(description="Rows that were written or erased so far, by table.")
    error: str | None = Field(description="Why the last attempt did not go on; it is tried again.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class ErasureOut(_RequestOut):
    purge_after: datetime | None = Field(
        description="Of an organisation, in the answer to the request: until then whoever runs the installation can "
        "restore it. From the request on the organisation answers nobody."
    )

    @classmethod
    def of(cls, request: PrivacyRequest, purge_after: datetime | None = None) -> Self:
        return cls(**_shared(request), purge_after=purge_after)


class ExportOut(_RequestOut):
    size: int | None = Field(description="Bytes of the file; null: there is none, or none any more.")
    sha256: str | None
    expires_at: datetime | None

    @classmethod
    def of(cls, request: PrivacyRequest) -> Self:
        digest = None if request.sha256 is None else request.sha256.hex()
        return cls(**_shared(request), size=request.size, sha256=digest, expires_at=request.expires_at)


def _shared(request: PrivacyRequest) -> dict[str, object]:
    return {
        "id": request.id,
        "target": request.target,
        "project_id": request.project_id,
        "state": request.state,
        "stage": request.stage,
        "subjects": [subject.hex() for subject in request.subjects],
        "counts": request.counts,
        "error": request.error,
        "created_at": request.created_at,
        "started_at": request.started_at,
        "finished_at": request.finished_at,
    }

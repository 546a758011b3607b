"""Registering an API description, on the wire."""

from datetime import datetime
from uuid import UUID

import orjson
from pydantic import Field, field_validator, model_validator

from models.base import JsonObject
from models.imports import ImportJob
from models.tools import ImportStatus, Integration, OperationReport, ToolSource
from planvault.ingestion.native import ALIAS as NATIVE_ALIAS
from serve_apps.schemas.addresses import BaseUrl, SpecUrl
from serve_apps.schemas.base import Body, Name, Reply, Text
from serve_apps.schemas.tools import Alias


class PutTools(Body):
    """One API description, whole (`openApiSpec`) or by address (`specUrl`)."""

    name: Alias = Field(description="The integration's alias: lower case, `[a-z][a-z0-9_-]*`.")
    display_name: Name | None = None
    base_url: BaseUrl | None = Field(
        default=None,
        description="An origin and a path, without user, query or fragment. Default: the document's first server.",
    )
    open_api_spec: JsonObject | Text | None = Field(
        default=None, description="OpenAPI 3.0, 3.1 or Swagger 2.0: an object, or its JSON or YAML as text."
    )
    spec_url: SpecUrl | None = Field(default=None, description="Fetched through the egress guard, by the import.")

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name == NATIVE_ALIAS:
            raise ValueError(f"{NATIVE_ALIAS} is the name of the platform's own tools")
        return name

    @model_validator(mode="after")
    def _one_source(self) -> "PutTools":
        if (self.open_api_spec is None) == (self.spec_url is None):
            raise ValueError("give either openApiSpec or specUrl")
        return self

    @property
    def document(self) -> str | None:
        spec = self.open_api_spec
        return spec if spec is None or isinstance(spec, str) else orjson.dumps(spec).decode()


class ToolsAccepted(Reply):
    """`toolId` names the integration; the import goes on behind."""

    tool_id: UUID
    import_id: UUID


class RegisteredTools(Reply):
    tool_id: UUID
    name: str
    display_name: str
    source: ToolSource
    base_url: str
    version: int

    @classmethod
    def of(cls, integration: Integration) -> "RegisteredTools":
        return cls(
            tool_id=integration.id,
            name=integration.alias,
            display_name=integration.display_name,
            source=integration.source,
            base_url=integration.base_url,
            version=integration.version,
        )


class ImportSummary(Reply):
    id: UUID
    tool_id: UUID
    status: ImportStatus
    total: int = Field(description="Tools to embed, known once the document is parsed.")
    done: int
    error: str | None
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, job: ImportJob) -> "ImportSummary":
        return cls(
            id=job.id,
            tool_id=job.integration_id,
            status=job.status,
            total=job.total,
            done=job.done,
            error=job.error,
            created_at=job.created_at,
            finished_at=job.finished_at,
        )


class ImportOut(ImportSummary):
    """With what became of each operation, and what was found about the whole document."""

    report: list[OperationReport]
    notes: list[str]

    @classmethod
    def of(cls, job: ImportJob) -> "ImportOut":
        summary = ImportSummary.of(job).model_dump()
        return cls(**summary, report=list(job.report), notes=list(job.notes))


class RegisteredToolsDetail(RegisteredTools):
    tools: list[str] = Field(description="Names of the current tools.")
    imports: list[ImportSummary] = Field(description="Newest first.")

"""Integrations and tools: the catalog's vocabulary."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from models.base import Frozen, JsonObject, JsonValue
from models.ids import IntegrationId, OrgId, ToolId
from models.results import Stored


class ToolSource(StrEnum):
    OPENAPI = "openapi"
    MCP = "mcp"
    WEBHOOK = "webhook"
    NATIVE = "native"


class RiskClass(StrEnum):
    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"
    EXTERNAL_EFFECT = "external_effect"
    MONEY = "money"


class Idempotency(StrEnum):
    """How often a tool may be called for one step. Recovery and retries follow from it (docs/recovery.md)."""

    SAFE = "safe"  # read-only: GET, HEAD
    DECLARED = "declared"  # the operator says that repeats are harmless
    KEYED = "keyed"  # the service takes an idempotency header: one effect a key
    NONE = "none"  # at most one request an intent


class ApprovalPolicy(StrEnum):
    ALWAYS = "always"
    DEFAULT = "default"
    AUTO_OK = "auto_ok"


class ParamLocation(StrEnum):
    PATH = "path"
    QUERY = "query"
    HEADER = "header"
    COOKIE = "cookie"
    BODY = "body"


class ToolParam(Frozen):
    """One flat input of a tool.

    `name` is what plans use, unique in the tool. `wire_name` is its name at `location`; a body parameter has
    `body_path` instead: the object keys from the body's root, `()` when the parameter is the whole body.
    `schema_` is a dereferenced, acyclic JSON Schema of the value.
    """

    name: str
    location: ParamLocation
    wire_name: str = ""
    body_path: tuple[str, ...] = ()
    schema_: JsonObject = Field(default_factory=dict, alias="schema")
    required: bool = False
    description: str = ""
    style: str | None = None  # OpenAPI parameter style; None = the location's default
    explode: bool | None = None
    allow_reserved: bool = False
    content_type: str | None = None  # set when the value is serialised as this media type (OpenAPI `content`)


class OutputField(Frozen):
    """One flat field of a tool's result; `path` holds object keys, `*` for an array's items."""

    path: tuple[str, ...]
    type: str = "any"
    description: str = ""


class HttpBinding(Frozen):
    """How flat arguments become one HTTP request, exactly reversing the flattening."""

    kind: Literal["http"] = "http"
    method: str  # upper case
    path: str  # template, `/orders/{orderId}`
    content_type: str | None = None  # of the request body; None = no body
    body_required: bool = False
    required_objects: tuple[
        tuple[str, ...], ...
    ] = ()  # body objects that exist even when none of their leaves is given
    form_encoding: dict[str, JsonObject] = Field(default_factory=dict)  # OpenAPI `encoding` by top-level property
    accept: str = "application/json"
    idempotency_header: str | None = None  # for idempotency `keyed`


class NativeBinding(Frozen):
    """A tool that runs inside the platform, found by name in `planvault.tools.native`."""

    kind: Literal["native"] = "native"
    function: str


Binding = Annotated[HttpBinding | NativeBinding, Field(discriminator="kind")]


class Tool(Frozen):
    """One callable operation, at one version. A run keeps using the version that it was planned with."""

    id: ToolId
    org_id: OrgId
    integration_id: IntegrationId
    version: int = 1
    name: str  # unique in the organisation; what plans call
    group: str  # integration alias, or `alias/tag`
    summary: str = ""
    description: str = ""
    params: tuple[ToolParam, ...] = ()
    outputs: tuple[OutputField, ...] = ()
    binding: Binding
    risk: RiskClass = RiskClass.READ
    idempotency: Idempotency = Idempotency.NONE
    approval_policy: ApprovalPolicy = ApprovalPolicy.DEFAULT
    timeout_s: float = 30.0
    deprecated: bool = False
    definition_hash: str = ""  # SHA-256 (hex) of the canonical definition; equal hash = same version

    def param(self, name: str) -> ToolParam | None:
        return next((param for param in self.params if param.name == name), None)


class Integration(Frozen):
    """One imported source of tools."""

    id: IntegrationId
    org_id: OrgId
    alias: str  # unique in the organisation, `[a-z][a-z0-9_-]*`
    display_name: str
    source: ToolSource
    base_url: str = ""
    version: int = 1


class IntegrationState(Frozen):
    """What one project has decided about an integration."""

    enabled: bool = True
    approval_policy: ApprovalPolicy | None = None
    # Header → template, e.g. {"Authorization": "Bearer {{secrets.SHOP_TOKEN}}"}; bound at call time.
    auth_headers: dict[str, str] = Field(default_factory=dict)


class ImportOutcome(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    SKIPPED = "skipped"


class OperationReport(Frozen):
    """What became of one operation of an imported document."""

    operation: str  # `GET /orders/{orderId}`
    outcome: ImportOutcome
    tool: str | None = None
    problems: tuple[str, ...] = ()


class ImportStatus(StrEnum):
    QUEUED = "queued"
    PARSING = "parsing"
    EMBEDDING = "embedding"
    COMPLETED = "completed"
    FAILED = "failed"


class ToolCallFailure(StrEnum):
    """Why a call has no value; the engine decides what follows from it and the tool's idempotency."""

    ANSWERED = "answered"  # the service answered with an error: a definite outcome
    REFUSED = "refused"  # 429 with Retry-After: counted as not executed
    NOT_SENT = "not_sent"  # provably no byte of the request left
    UNKNOWN = "unknown"  # sent, and nobody knows: timeout, dropped connection, 502-504
    CREDENTIAL = "credential"  # not let in: a secret is missing, or the service refused the one it got (401)
    REJECTED = "rejected"  # refused on our side before sending: bad argument, missing secret, egress policy


class ToolSucceeded(Frozen):
    ok: Literal[True] = True
    value: JsonValue = None
    status: int | None = None
    stored: Stored | None = None  # where the value lies when it is too large for the record; `value` is None then
    size: int = 0  # bytes of the response body
    duration_ms: float = 0.0


class ToolFailed(Frozen):
    ok: Literal[False] = False
    failure: ToolCallFailure
    code: str  # stable, e.g. HTTP_404, TIMEOUT, EGRESS_DENIED, RESPONSE_TOO_LARGE
    message: str  # redacted; for people and for the repair prompt
    status: int | None = None
    retry_after_s: float | None = None
    duration_ms: float = 0.0


ToolOutcome = Annotated[ToolSucceeded | ToolFailed, Field(discriminator="ok")]

"""Tools, integrations and the selection's dry run on the wire."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StringConstraints

from models.base import JsonObject
from models.planning import Candidate, GroupChoice, ScenarioMatch, Selection, SelectionOptions, SelectionTier
from models.retrieval import RetrievalMode
from models.tools import ApprovalPolicy, Idempotency, IntegrationState, OutputField, RiskClass, Tool, ToolSource
from planvault.storage.catalog import ProjectIntegration
from planvault.tools.binding import written_out
from planvault.tools.request import FRAMING
from serve_apps.schemas.base import Body, JsonDocument, Reply, Text

HIDDEN = "***"

Alias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]


def settable(name: str) -> str:
    if name.lower() in FRAMING:
        raise ValueError("this header belongs to the request itself and cannot be set")
    return name


# A header, or `?name`: API keys in the query exist.
AuthName = Annotated[
    str,
    StringConstraints(pattern=r"^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}|\?[^\s\x00-\x1f\x7f]{1,100})$"),
    AfterValidator(settable),
]


def meant(template: str) -> str:
    if template == HIDDEN:
        raise ValueError("this stands for a value that is not shown; give the value's handle, as {{secrets.NAME}}")
    return template


HeaderTemplate = Annotated[
    str, StringConstraints(min_length=1, max_length=4_096, pattern=r"^[^\x00-\x1f\x7f]+$"), AfterValidator(meant)
]


class ToolParamOut(Reply):
    name: str
    required: bool
    description: str
    schema_: JsonDocument = Field(alias="schema")


class ToolOut(Reply):
    id: UUID
    version: int
    name: str
    group: str
    integration_id: UUID
    summary: str
    description: str
    params: list[ToolParamOut]
    outputs: list[OutputField]
    risk: RiskClass
    idempotency: Idempotency
    approval_policy: ApprovalPolicy
    timeout_s: float
    deprecated: bool

    @classmethod
    def of(cls, tool: Tool) -> "ToolOut":
        return cls(
            **tool.model_dump(
                include={
                    "id", "version", "name", "group", "integration_id", "summary", "description", "risk",
                    "idempotency", "approval_policy", "timeout_s", "deprecated",
                }
            ),
            params=[
                ToolParamOut(name=p.name, required=p.required, description=p.description, schema_=p.schema_)
                for p in tool.params
            ],
            outputs=list(tool.outputs),
        )  # fmt: skip


def shown(auth: Mapping[str, str]) -> dict[str, str]:
    """Templates with their handles; a credential that one spells out is hidden."""
    return {name: HIDDEN if written_out(name, template) else template for name, template in auth.items()}


class IntegrationOut(Reply):
    """An integration as this project sees it. Header templates show their handles, never values."""

    id: UUID
    alias: str
    display_name: str
    source: ToolSource
    version: int
    base_url: str
    enabled: bool
    approval_policy: ApprovalPolicy | None
    auth: dict[str, str]
    tool_count: int

    @classmethod
    def of(cls, seen: ProjectIntegration) -> "IntegrationOut":
        it, state = seen.integration, seen.state
        return cls(
            id=it.id,
            alias=it.alias,
            display_name=it.display_name,
            source=it.source,
            version=it.version,
            base_url=it.base_url,
            enabled=state.enabled,
            approval_policy=state.approval_policy,
            auth=shown(state.auth_headers),
            tool_count=seen.tool_count,
        )


class PutIntegration(Body):
    """Replaces the project's decisions about one integration; what is left out goes back to its default."""

    enabled: StrictBool
    approval_policy: ApprovalPolicy | None = None
    auth: Annotated[dict[AuthName, HeaderTemplate], Field(max_length=20)] = Field(
        default_factory=dict,
        description="Header, or `?query parameter`, → template. `{{secrets.NAME}}` is bound at call time.",
        examples=[{"Authorization": "Bearer {{secrets.SHOP_TOKEN}}"}, {"?api_key": "{{secrets.API_KEY}}"}],
    )

    def state(self) -> IntegrationState:
        return IntegrationState(enabled=self.enabled, approval_policy=self.approval_policy, auth_headers=self.auth)


class PutNamedIntegration(PutIntegration):
    alias: Alias

    def told(self) -> JsonObject:
        """For the audit log: of the headers their names, since a template may hold more than a handle."""
        policy = None if self.approval_policy is None else self.approval_policy.value
        settings: JsonObject = {"enabled": self.enabled, "approvalPolicy": policy, "auth": list(self.auth)}
        return {"integration": self.alias, "settings": settings}


class PutIntegrations(Body):
    """All of them change, or none."""

    integrations: list[PutNamedIntegration] = Field(min_length=1, max_length=200)


class IntegrationsOut(Reply):
    items: list[IntegrationOut]


class TestSelection(Body):
    query: Annotated[Text, StringConstraints(min_length=1, max_length=32_000, pattern=r"\S")]
    max_tools: StrictInt | None = Field(default=None, ge=1, le=200, description="Default: the project's setting.")
    strategy: RetrievalMode | None = Field(default=None, description="Forces a tier. Default: the project's setting.")
    candidates: StrictInt = Field(
        default=100, ge=1, le=1_000, description="How many candidates are explained at most, the shortlist included."
    )

    def options(self) -> SelectionOptions:
        return SelectionOptions(max_tools=self.max_tools, mode=self.strategy, explain=self.candidates)


class SelectionOut(Reply):
    """A dry run of the selection. A candidate's `scores` add up to its `score`, which is what the ranking goes by."""

    tier: SelectionTier
    tier_reason: str
    catalog_size: int
    timings_ms: dict[str, float]
    parts: list[str] = Field(description="The prompt and its clauses: `dense` and `lexical` have one score for each.")
    candidates: list[Candidate] = Field(description="By score; those that are not in the shortlist say why.")
    shortlist: list[str] = Field(description="Names, best first.")
    groups: list[GroupChoice] = Field(description="What the hierarchical tier searched, and why.")
    scenarios: list[ScenarioMatch]
    instruction: str = Field(description="What the planner is told by a scenario, its variables not filled in.")
    degraded: list[str] = Field(description="What this selection had to do without.")

    @classmethod
    def of(cls, selection: Selection) -> "SelectionOut":
        return cls(
            tier=selection.tier,
            tier_reason=selection.tier_reason,
            catalog_size=selection.catalog_size,
            timings_ms=selection.timings_ms,
            parts=list(selection.parts),
            candidates=list(selection.candidates or selection.shortlist),
            shortlist=[candidate.name for candidate in selection.shortlist],
            groups=list(selection.groups),
            scenarios=list(selection.scenarios),
            instruction=selection.instruction,
            degraded=list(selection.degraded),
        )

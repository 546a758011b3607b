"""Scenarios, the routing cache and feedback on the wire."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StringConstraints

from models.ids import ProjectId
from planvault.ports import Vector
from planvault.storage.feedback import FeedbackRecord, Vote
from planvault.storage.routing_cache import CacheEntry
from planvault.storage.scenarios import ScenarioDraft, ScenarioRecord, ToolRef
from retrieval.scenarios.instructions import MAX_TEMPLATE, fault_of
from retrieval.scenarios.rates import Tally, success_rate
from serve_apps.schemas.base import Body, Name, Reply, Text, without_nul

MAX_SAMPLES = 20
MAX_SAMPLE = 2_000
MAX_TOOLS = 50
MAX_COMMENT = 4_000

Sample = Annotated[
    Text, StringConstraints(min_length=1, max_length=MAX_SAMPLE, strip_whitespace=True, pattern=r"[^\s\x00]")
]
ToolName = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(without_nul)]
Priority = Annotated[StrictInt, Field(ge=2, le=100)]


def _template(text: str) -> str:
    fault = fault_of(text)
    if fault is not None:
        raise ValueError(fault)
    return text


Instruction = Annotated[Text, StringConstraints(max_length=MAX_TEMPLATE), AfterValidator(_template)]


class PutScenario(Body):
    """A query pattern and the tools that it needs."""

    name: Name
    project_id: UUID | None = Field(default=None, description="Only this project's prompts; null: the organisation's.")
    priority: Priority = Field(default=50, description="2 … 100: how much it counts against others.")
    sample_queries: list[Sample] = Field(
        min_length=1, max_length=MAX_SAMPLES, description="Prompts as people write them. Stored encrypted."
    )
    tools: list[ToolName] = Field(min_length=1, max_length=MAX_TOOLS, description="Names of the catalog's tools.")
    system_instruction: Instruction = Field(
        default="",
        description="Extra text for the planner where a sample matches strongly. `{{key}}` stands for the session's "
        "contextVars; a key that a session lacks shows as `(key: not given)`. Stored encrypted.",
    )
    enabled: StrictBool = True

    @property
    def samples(self) -> tuple[str, ...]:
        """Each once, in order."""
        return tuple(dict.fromkeys(self.sample_queries))

    def draft(self, vectors: list[Vector], model: str) -> ScenarioDraft:
        """`vectors`: of `samples`, in order."""
        return ScenarioDraft(
            name=self.name,
            project_id=None if self.project_id is None else ProjectId(self.project_id),
            priority=self.priority,
            enabled=self.enabled,
            tools=tuple(dict.fromkeys(self.tools)),
            samples=self.samples,
            instruction=self.system_instruction,
            vectors=tuple(vectors),
            embedding_model=model,
        )


class AdoptSuggestion(Body):
    """What a person adds to a pattern that runs have shown: the routing cache holds no text of prompts."""

    name: Name
    sample_queries: list[Sample] = Field(min_length=1, max_length=MAX_SAMPLES)
    project_id: UUID | None = None
    priority: Priority = 50
    system_instruction: Instruction = ""
    tools: list[ToolName] | None = Field(
        default=None, min_length=1, max_length=MAX_TOOLS, description="Default: the pattern's."
    )

    @property
    def samples(self) -> tuple[str, ...]:
        """Each once, in order."""
        return tuple(dict.fromkeys(self.sample_queries))

    def scenario(self, tools: list[str]) -> PutScenario:
        """`tools`: the pattern's, where the person names none."""
        given = self.model_dump(by_alias=True, exclude={"tools"})
        return PutScenario.model_validate({**given, "tools": self.tools or tools})


class ScenarioTool(Reply):
    id: UUID
    name: str
    offered: bool = Field(description="False: retired by a re-import; counts again when it comes back.")

    @classmethod
    def of(cls, ref: ToolRef) -> "ScenarioTool":
        return cls(id=ref.id, name=ref.name, offered=ref.offered)


class ScenarioOut(Reply):
    id: UUID
    project_id: UUID | None
    name: str
    priority: int
    enabled: bool
    sample_queries: list[str]
    tools: list[ScenarioTool]
    system_instruction: str
    success_rate: float = Field(description="0 … 1, faded to now; 1 until runs say otherwise.")
    successes: float
    failures: float
    created_by: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, found: ScenarioRecord, now: datetime, half_life: timedelta) -> "ScenarioOut":
        tally = Tally(found.successes, found.failures, found.counted_at).as_of(now, half_life)
        return cls(
            id=found.id,
            project_id=found.project_id,
            name=found.name,
            priority=found.priority,
            enabled=found.enabled,
            sample_queries=list(found.samples),
            tools=[ScenarioTool.of(ref) for ref in found.tools],
            system_instruction=found.instruction,
            success_rate=round(success_rate(tally, manual=True), 6),
            successes=round(tally.successes, 6),
            failures=round(tally.failures, 6),
            created_by=found.created_by,
            created_at=found.created_at,
            updated_at=found.updated_at,
        )


class CacheEntryOut(Reply):
    """A pattern that runs have shown: which tools an intent needs. The prompts themselves are not kept."""

    id: UUID
    tools: list[ScenarioTool]
    success_rate: float = Field(description="0 … 1, faded to now.")
    successes: float
    failures: float
    users: int = Field(description="Distinct external users behind it; all sessions without one are one.")
    in_use: bool = Field(description="Whether it counts for the organisation's prompts now.")
    created_at: datetime
    last_counted_at: datetime

    @classmethod
    def of(cls, found: CacheEntry, now: datetime, half_life: timedelta, *, users: int | None) -> "CacheEntryOut":
        """`users`: how many must stand behind an entry; None: the cache is off."""
        tally = Tally(found.successes, found.failures, found.counted_at).as_of(now, half_life)
        return cls(
            id=found.id,
            tools=[ScenarioTool.of(ref) for ref in found.tools],
            success_rate=round(success_rate(tally, manual=False), 6),
            successes=round(tally.successes, 6),
            failures=round(tally.failures, 6),
            users=found.users,
            in_use=users is not None and found.users >= users,
            created_at=found.created_at,
            last_counted_at=found.counted_at,
        )


class RoutingCacheSettings(Reply):
    enabled: bool
    min_users: int
    half_life_days: float


class RoutingCacheOut(Reply):
    settings: RoutingCacheSettings
    entries: int = Field(description="In all.")
    items: list[CacheEntryOut]
    next_cursor: str | None = None


class PutRoutingCache(Body):
    """The switch of the organisation; what is left out stays as it is. A project may narrow it, never widen it."""

    enabled: StrictBool | None = Field(
        default=None, description="Off: nothing is learned from prompts, and nothing that was learned counts."
    )
    min_users: Annotated[StrictInt, Field(ge=1, le=1_000_000)] | None = None


class Cleared(Reply):
    deleted: int


class PostFeedback(Body):
    run_id: UUID
    value: Vote
    comment: Annotated[Text, StringConstraints(max_length=MAX_COMMENT, strip_whitespace=True)] = Field(
        default="", description="Stored encrypted."
    )


class FeedbackOut(Reply):
    run_id: UUID
    value: Vote
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, found: FeedbackRecord) -> "FeedbackOut":
        return cls(run_id=found.run_id, value=found.value, created_at=found.created_at, updated_at=found.updated_at)

"""Tool selection and planning: what goes in and what comes out."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from models.base import Frozen, JsonObject
from models.ids import ToolId
from models.plans import Plan, PlannerMode
from models.tools import Tool


class SelectionTier(StrEnum):
    DIRECT = "direct"
    FLAT_RAG = "flat_rag"
    FULL_RAG = "full_rag"
    HIERARCHICAL_RAG = "hierarchical_rag"


class Candidate(Frozen):
    """One tool of a shortlist. `scores` names every part of `score`, e.g. {"vector": 0.71}."""

    tool_id: ToolId
    version: int
    name: str
    group: str
    score: float
    scores: dict[str, float] = Field(default_factory=dict)


class Selection(Frozen):
    """A shortlist, best first. `catalog_size` counts the project's enabled tools."""

    tier: SelectionTier
    catalog_size: int
    shortlist: tuple[Candidate, ...]
    timings_ms: dict[str, float] = Field(default_factory=dict)


class PlanRequest(Frozen):
    """All that a planner may see: signatures and names, never payloads or secret values."""

    prompt: str
    tools: tuple[Tool, ...]
    secret_names: tuple[str, ...] = ()
    context_vars: JsonObject = Field(default_factory=dict)
    run_started_at: datetime
    mode: PlannerMode | None = None  # None: by the model's capability
    model: str | None = None  # None: the platform's
    instruction: str = ""  # a scenario's systemInstruction


class LlmUsage(Frozen):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    requests: int = 0


class PlanProblem(Frozen):
    """One error of a plan. `line` and `column` are 1-based in the planner's text; `hint` says how to mend it."""

    code: str
    message: str
    line: int | None = None
    column: int | None = None
    hint: str = ""


class PlanOutcome(Frozen):
    """A valid plan, or none with every problem of the last attempt."""

    plan: Plan | None
    problems: tuple[PlanProblem, ...] = ()
    planner: str  # `builtin`, or the model's name
    mode: PlannerMode
    prompt_version: str = ""
    attempts: int = 1
    source: str = ""  # the text that compiled to the plan
    usage: LlmUsage = LlmUsage()

"""Tool selection and planning: what goes in and what comes out."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from models.base import Frozen, JsonObject
from models.ids import ToolId
from models.plans import Plan, PlannerMode
from models.retrieval import RetrievalMode
from models.tools import Tool


class SelectionTier(StrEnum):
    DIRECT = "direct"
    FLAT_RAG = "flat_rag"
    FULL_RAG = "full_rag"
    HIERARCHICAL_RAG = "hierarchical_rag"


class Exclusion(StrEnum):
    """Why a candidate is not in the shortlist."""

    SHORTLIST_FULL = "shortlist_full"
    GROUP_CAP = "group_cap"


class Candidate(Frozen):
    """One tool that was ranked. `scores` names what adds up to `score`, e.g. {"dense": 1.71, "lexical": 0.4}.

    `dense` and `lexical` are the raw scores, one a part of the prompt (`Selection.parts`): cosines, None where the tool
    has no embedding yet, and BM25. Empty where nobody asked for an explanation.
    """

    tool_id: ToolId
    version: int
    name: str
    group: str
    score: float
    scores: dict[str, float] = Field(default_factory=dict)
    dense: tuple[float | None, ...] = ()
    lexical: tuple[float, ...] = ()
    excluded: Exclusion | None = None


class GroupChoice(Frozen):
    """A group that HierarchicalRag searched, and why."""

    group: str
    tools: int
    routing: str  # centroid: by the mean of its members; best_member: each member speaks for it
    similarity: float  # cosine of a part of the prompt to the centroid, or to the best member, -1 … 1
    expected: float  # the cosine that its best member is expected to have, or has: groups stand in this order
    part: int  # which part of the prompt, see Selection.parts
    coherence: float  # mean cosine of the members to their centroid, 0 … 1
    why: str


class ScenarioMatch(Frozen):
    """A scenario like the prompt. `contribution` is what its tools were given; `chosen`: its instruction is used."""

    scenario_id: UUID
    name: str  # empty for one that was learned
    priority: int
    similarity: float  # cosine of the prompt, or of a part of it, to the nearest sample, -1 … 1
    success_rate: float
    contribution: float
    brought_in: bool  # its tools were candidates whether or not an index found them
    chosen: bool


class SelectionOptions(Frozen):
    """What one call decides over the project's settings."""

    max_tools: int | None = None  # 1 … 200
    mode: RetrievalMode | None = None
    explain: int = 0  # how many candidates are explained beside the shortlist


class Selection(Frozen):
    """A shortlist, best first. `catalog_size` counts the project's enabled tools.

    `candidates` begins with the shortlist and goes on, by score, with what did not make it. `instruction` is the
    chosen scenario's, with its variables still in it. `degraded` says in words what this selection had to do without.
    """

    tier: SelectionTier
    catalog_size: int
    shortlist: tuple[Candidate, ...]
    timings_ms: dict[str, float] = Field(default_factory=dict)
    tier_reason: str = ""
    parts: tuple[str, ...] = ()  # the prompt and its clauses
    candidates: tuple[Candidate, ...] = ()
    groups: tuple[GroupChoice, ...] = ()
    scenarios: tuple[ScenarioMatch, ...] = ()
    instruction: str = ""
    degraded: tuple[str, ...] = ()


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

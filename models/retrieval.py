"""How tools are selected: `settings.retrieval` of an organisation or a project (docs/tool-selection.md)."""

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from models.base import Frozen

# No shortlist is longer, whatever is asked for: a planner's context ends somewhere.
SHORTLIST_CAP: Final = 200
DEFAULT_MAX_TOOLS: Final = 30


class RetrievalMode(StrEnum):
    """`auto` chooses the tier by the size of the project's enabled catalog; the others force it."""

    AUTO = "auto"
    DIRECT = "direct"
    FLAT_RAG = "flat_rag"
    FULL_RAG = "full_rag"
    HIERARCHICAL_RAG = "hierarchical_rag"


CatalogSize = Annotated[int, Field(ge=0, le=1_000_000)]
MaxTools = Annotated[int, Field(ge=1, le=SHORTLIST_CAP)]
GroupCap = Annotated[int, Field(ge=0, le=SHORTLIST_CAP)]
TopGroups = Annotated[int, Field(ge=1, le=1_000)]
BoostCap = Annotated[float, Field(ge=0, le=10)]
Weight = Annotated[float, Field(ge=0, le=10)]
Users = Annotated[int, Field(ge=1, le=1_000_000)]
Days = Annotated[float, Field(ge=0.01, le=3_650)]


class RankingWeights(Frozen):
    """Factors on the ranking's own, calibrated weights: 1 leaves a part as it was calibrated, 0 takes it out."""

    dense: Weight = 1.0
    lexical: Weight = 1.0
    clauses: Weight = 1.0
    groups: Weight = 1.0
    links: Weight = 1.0
    scenario: Weight = 1.0
    usage: Weight = 1.0


class RetrievalSettings(Frozen):
    """What holds for one selection, every value decided."""

    mode: RetrievalMode = RetrievalMode.AUTO
    direct_max: CatalogSize = 20  # tools; up to here the planner may as well see everything
    flat_max: CatalogSize = 100
    full_max: CatalogSize = 200
    max_tools: MaxTools = DEFAULT_MAX_TOOLS
    per_group_cap: GroupCap = 0  # tools of one group in a shortlist; 0: as many as rank
    centroid_top_k: TopGroups = 64  # groups that HierarchicalRag opens, for each part of a prompt
    usage_boost_cap: BoostCap = 0.5  # what usage can add to a score at most, in the ranking's units
    scenarios: bool = True  # manual scenarios match prompts
    routing_cache: bool = True  # finished runs are learned from, and what was learned matches prompts
    routing_cache_min_users: Users = 1  # distinct users with the same intent before it matches
    decay_half_life_days: Days = 30.0  # after which a run counts half
    weights: RankingWeights = RankingWeights()


class WeightOverrides(Frozen):
    dense: Weight | None = None
    lexical: Weight | None = None
    clauses: Weight | None = None
    groups: Weight | None = None
    links: Weight | None = None
    scenario: Weight | None = None
    usage: Weight | None = None


class RetrievalOverrides(Frozen):
    """What one level decides; None leaves a field to the level above."""

    mode: RetrievalMode | None = None
    direct_max: CatalogSize | None = None
    flat_max: CatalogSize | None = None
    full_max: CatalogSize | None = None
    max_tools: MaxTools | None = None
    per_group_cap: GroupCap | None = None
    centroid_top_k: TopGroups | None = None
    usage_boost_cap: BoostCap | None = None
    scenarios: bool | None = None
    routing_cache: bool | None = None
    routing_cache_min_users: Users | None = None
    decay_half_life_days: Days | None = None
    weights: WeightOverrides = WeightOverrides()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        fault = disorder(self.direct_max, self.flat_max, self.full_max)
        if fault is not None:
            raise ValueError(fault[1])
        return self


def disorder(direct_max: int | None, flat_max: int | None, full_max: int | None) -> tuple[str, str] | None:
    """The first threshold below one that stands before it, by wire name, and what is wrong with it."""
    before: tuple[str, int] | None = None
    for name, size in (("directMax", direct_max), ("flatMax", flat_max), ("fullMax", full_max)):
        if size is None:
            continue
        if before is not None and size < before[1]:
            return name, f"must not be below {before[0]}, which is {before[1]}"
        before = (name, size)
    return None


def effective_retrieval(
    organization: RetrievalOverrides, project: RetrievalOverrides, project_max_tools: int = DEFAULT_MAX_TOOLS
) -> RetrievalSettings:
    """Project over organisation over default, field by field.

    Two exceptions: where the organisation keeps no routing cache or waits for more users, no project asks for less
    (what one user's prompt left behind is not shown to the next). `project_max_tools` is the project's older setting
    `retrievalMaxTools`: it counts where `retrieval.maxTools` is not set, and its default (30) decides nothing.
    Thresholds of two levels may disagree: a tier whose maximum lies below the tier's before it is never chosen.
    """
    chosen: dict[str, object] = {}
    if project_max_tools != DEFAULT_MAX_TOOLS:
        chosen["max_tools"] = project_max_tools
    chosen = {**_decided(organization), **chosen, **_decided(project)}
    chosen["weights"] = {**_decided(organization.weights), **_decided(project.weights)}
    if organization.routing_cache is False:
        chosen["routing_cache"] = False
    users = [each.routing_cache_min_users or 1 for each in (organization, project)]
    chosen["routing_cache_min_users"] = max(users)
    return RetrievalSettings.model_validate(chosen)


def _decided(level: Frozen) -> dict[str, object]:
    values = {name: getattr(level, name) for name in type(level).model_fields}
    return {name: value for name, value in values.items() if value is not None and name != "weights"}

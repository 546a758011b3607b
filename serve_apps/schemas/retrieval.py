"""`settings.retrieval` on the wire: what is left out, or null, is left to the level above."""

from typing import Annotated, TypeAlias

from pydantic import Field, Strict

from models.retrieval import (
    BoostCap,
    CatalogSize,
    Days,
    GroupCap,
    MaxTools,
    RetrievalMode,
    RetrievalOverrides,
    TopGroups,
    Users,
    Weight,
    WeightOverrides,
    disorder,
)
from planvault.errors import FieldError, InvalidInput
from serve_apps.schemas.base import Body

Factor: TypeAlias = Annotated[Weight, Strict()]
Size: TypeAlias = Annotated[CatalogSize, Strict()]


class WeightsIn(Body):
    """Factors on the calibrated ranking: 1 changes nothing, 0 takes a part out."""

    dense: Factor | None = None
    lexical: Factor | None = None
    clauses: Factor | None = None
    groups: Factor | None = None
    links: Factor | None = None
    scenario: Factor | None = None
    usage: Factor | None = None


class RetrievalIn(Body):
    mode: RetrievalMode | None = Field(default=None, description="Default: auto, by the catalog's size.")
    direct_max: Size | None = Field(default=None, description="Default: 20 tools.")
    flat_max: Size | None = Field(default=None, description="Default: 100 tools.")
    full_max: Size | None = Field(default=None, description="Default: 200 tools.")
    max_tools: Annotated[MaxTools, Strict()] | None = Field(default=None, description="Default: 30.")
    per_group_cap: Annotated[GroupCap, Strict()] | None = Field(
        default=None, description="Tools of one group in a shortlist. Default: 0, as many as rank."
    )
    centroid_top_k: Annotated[TopGroups, Strict()] | None = Field(
        default=None, description="Groups that the hierarchical tier opens, for each part of a prompt. Default: 64."
    )
    usage_boost_cap: Annotated[BoostCap, Strict()] | None = Field(default=None, description="Default: 0.5.")
    scenarios: Annotated[bool, Strict()] | None = None
    routing_cache: Annotated[bool, Strict()] | None = Field(
        default=None, description="Off for an organisation is off for its projects."
    )
    routing_cache_min_users: Annotated[Users, Strict()] | None = None
    decay_half_life_days: Annotated[Days, Strict()] | None = None
    weights: WeightsIn = WeightsIn()

    def overrides(self, pointer: str) -> RetrievalOverrides:
        """Raises InvalidInput below `pointer`."""
        fault = disorder(self.direct_max, self.flat_max, self.full_max)
        if fault is not None:
            name, why = fault
            raise InvalidInput("The thresholds are not in order.", errors=(FieldError(f"{pointer}/{name}", why),))
        values = self.model_dump(exclude={"weights"})
        return RetrievalOverrides(**values, weights=WeightOverrides(**self.weights.model_dump()))

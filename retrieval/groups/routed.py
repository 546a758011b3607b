"""What routing answers: the groups that a prompt's tools are searched in, and why each is among them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias
from uuid import UUID

from models.ids import IntegrationId

# centroid: the group stands where the mean of its members stands. best_member: its members have no common place, so
# that each of them speaks for it.
Routing: TypeAlias = Literal["centroid", "best_member"]


@dataclass(frozen=True, slots=True)
class RoutedGroup:
    """One group that is searched.

    `similarity`: cosine of a part of the query to the group's centroid (centroid) or to its best member (best_member);
    `expected`: the cosine that its best member is expected to have (`similarity` + `reach`), or has; groups are taken
    in this order. `part`: the part of the query that `expected` is highest for, 0 the whole prompt. `coherence`: mean
    cosine of the members to the centroid, 0 … 1. `why`: one sentence, how the group came to be and is routed to.
    """

    group_id: UUID
    integration_id: IntegrationId
    name: str
    size: int
    coherence: float
    routing: Routing
    similarity: float
    expected: float
    part: int
    why: str


@dataclass(frozen=True, slots=True)
class Routed:
    """`groups`: highest `expected` first. `considered`: how many groups the project's enabled integrations have.

    `ungrouped`: enabled tools that have a vector but no group yet (an import is at work, or a database from before
    there were groups is being healed). The search restricted to `group_ids` would miss them: where there are more than
    can be searched beside the groups, search the whole catalog instead.
    """

    groups: Sequence[RoutedGroup]
    considered: int
    ungrouped: int

    @property
    def group_ids(self) -> list[UUID]:
        return [group.group_id for group in self.groups]

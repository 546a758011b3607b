"""Why a group is what it is, in one sentence with its figures. Pure."""

from dataclasses import dataclass

from retrieval.groups.planning import POOLED, SPOKEN_FOR
from retrieval.groups.routed import Routing
from retrieval.groups.split import COHERENT, LARGEST, SMALLEST


@dataclass(frozen=True, slots=True)
class GroupOrigin:
    """Where a group comes from: part `part` of `parts` of a base of `base_size` tools."""

    base: str
    parts: int
    size: int
    base_size: int
    coherence: float
    base_coherence: float
    reach: float
    routing: Routing


def why(origin: GroupOrigin) -> str:
    """E.g. `one of 4 parts of demo/users, which was split because its 71 tools are more than 48; routed by …`."""
    return f"{_making(origin)}; {_routing(origin)}"


def _making(origin: GroupOrigin) -> str:
    pooled = origin.base == POOLED
    source = f"the integration's groups of fewer than {SMALLEST} tools" if pooled else origin.base
    if origin.parts == 1:
        kept = "kept together" if pooled else "kept whole"
        return f"{source}, {kept}: {origin.size} tools, coherence {origin.coherence:.2f}"
    if origin.base_size > LARGEST:
        reason = f"its {origin.base_size} tools are more than {LARGEST}"
    else:
        reason = f"the coherence of its {origin.base_size} tools, {origin.base_coherence:.2f}, is below {COHERENT:.2f}"
    return (
        f"one of {origin.parts} parts of {source}, split because {reason}: "
        f"{origin.size} tools, coherence {origin.coherence:.2f}"
    )


def _routing(origin: GroupOrigin) -> str:
    if origin.routing == "centroid":
        return f"routed by its centroid, above which its best tool is expected to stand by {origin.reach:.2f}"
    return f"routed by its best member, because no centroid speaks for a coherence below {SPOKEN_FOR:.2f}"

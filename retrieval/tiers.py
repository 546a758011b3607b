"""Which tier serves a catalog of a given size, and how long its shortlist may be. Pure."""

from dataclasses import dataclass

from models.planning import SelectionTier
from models.retrieval import SHORTLIST_CAP, RetrievalMode, RetrievalSettings


@dataclass(frozen=True, slots=True)
class Chosen:
    """`limit`: tools in the shortlist at most. `reason`: why this tier, for people."""

    tier: SelectionTier
    limit: int
    reason: str

    @property
    def shows_all(self) -> bool:
        return self.tier is SelectionTier.DIRECT


def choose_tier(
    size: int, settings: RetrievalSettings, *, mode: RetrievalMode | None = None, max_tools: int | None = None
) -> Chosen:
    """The tier for `size` enabled tools. `mode` and `max_tools` are the caller's and come before the settings.

    Direct shows everything: chosen automatically only where everything fits into the shortlist, and forced it goes up
    to the hard cap, unless the caller himself asks for fewer.
    """
    wanted = settings.max_tools if max_tools is None else max_tools
    limit = max(1, min(wanted, SHORTLIST_CAP))
    forced = settings.mode if mode is None else mode
    if forced is RetrievalMode.AUTO:
        return _by_size(size, limit, settings)
    by = "the settings" if mode is None else "the request"
    tier = SelectionTier(forced.value)
    if tier is SelectionTier.DIRECT and max_tools is None:
        limit = SHORTLIST_CAP
    return Chosen(tier, limit, f"{by} ask for {forced.value}; the project has {size} tools")


def _by_size(size: int, limit: int, settings: RetrievalSettings) -> Chosen:
    if size <= min(settings.direct_max, limit):
        return Chosen(
            SelectionTier.DIRECT, limit, f"{size} tools: at most {min(settings.direct_max, limit)}, all shown"
        )
    for tier, name, most in (
        (SelectionTier.FLAT_RAG, "flatMax", settings.flat_max),
        (SelectionTier.FULL_RAG, "fullMax", settings.full_max),
    ):
        if size <= most:
            return Chosen(tier, limit, f"{size} tools: within {name}, which is {most}")
    return Chosen(SelectionTier.HIERARCHICAL_RAG, limit, f"{size} tools: above fullMax, which is {settings.full_max}")

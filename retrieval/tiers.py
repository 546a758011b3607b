"""Which tier serves a catalog of a given size. Pure."""

from models.planning import SelectionTier

# Up to here the planner may as well see everything: retrieval could only lose a tool.
DIRECT_MAX = 20
# No shortlist is longer, whatever a project asks for.
SHORTLIST_CAP = 200


def shortlist_size(wanted: int) -> int:
    """`wanted` within 1 … SHORTLIST_CAP."""
    return max(1, min(wanted, SHORTLIST_CAP))


def choose_tier(catalog_size: int, max_tools: int) -> SelectionTier:
    """Direct where the whole enabled catalog fits, else vector search, which serves every larger catalog for now.

    A project that asks for fewer tools than it has enabled gets a ranked cut, however small its catalog.
    """
    fits = catalog_size <= min(DIRECT_MAX, shortlist_size(max_tools))
    return SelectionTier.DIRECT if fits else SelectionTier.FLAT_RAG

"""Which tier serves a catalog."""

import pytest

from models.planning import SelectionTier
from retrieval.tiers import DIRECT_MAX, SHORTLIST_CAP, choose_tier, shortlist_size


@pytest.mark.parametrize(
    ("catalog", "max_tools", "tier"),
    [
        (0, 30, SelectionTier.DIRECT),
        (DIRECT_MAX, 30, SelectionTier.DIRECT),
        (DIRECT_MAX + 1, 30, SelectionTier.FLAT_RAG),
        (100_000, 30, SelectionTier.FLAT_RAG),
        (5, 5, SelectionTier.DIRECT),
        (6, 5, SelectionTier.FLAT_RAG),
        (DIRECT_MAX + 1, 10_000, SelectionTier.FLAT_RAG),
    ],
)
def test_a_catalog_that_fits_whole_is_direct_and_a_larger_one_is_searched(
    catalog: int, max_tools: int, tier: SelectionTier
) -> None:
    assert choose_tier(catalog, max_tools) is tier


@pytest.mark.parametrize(("wanted", "size"), [(-3, 1), (0, 1), (30, 30), (200, SHORTLIST_CAP), (10**9, SHORTLIST_CAP)])
def test_a_shortlist_is_never_empty_nor_longer_than_the_cap(wanted: int, size: int) -> None:
    assert shortlist_size(wanted) == size

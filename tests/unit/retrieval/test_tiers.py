"""Which tier serves a catalog, and how long its shortlist may be."""

import pytest

from models.planning import SelectionTier
from models.retrieval import SHORTLIST_CAP, RetrievalMode, RetrievalSettings
from retrieval.tiers import choose_tier

DEFAULT = RetrievalSettings()


@pytest.mark.parametrize(
    ("size", "max_tools", "tier"),
    [
        (0, 30, SelectionTier.DIRECT),
        (20, 30, SelectionTier.DIRECT),
        (21, 30, SelectionTier.FLAT_RAG),
        (100, 30, SelectionTier.FLAT_RAG),
        (101, 30, SelectionTier.FULL_RAG),
        (200, 30, SelectionTier.FULL_RAG),
        (201, 30, SelectionTier.HIERARCHICAL_RAG),
        (100_000, 30, SelectionTier.HIERARCHICAL_RAG),
        (5, 5, SelectionTier.DIRECT),
        (6, 5, SelectionTier.FLAT_RAG),
    ],
)
def test_the_catalogs_size_chooses(size: int, max_tools: int, tier: SelectionTier) -> None:
    assert choose_tier(size, DEFAULT, max_tools=max_tools).tier is tier


def test_thresholds_of_two_levels_that_disagree_skip_a_tier() -> None:
    settings = RetrievalSettings(direct_max=50, flat_max=40, full_max=45, max_tools=60)
    tiers = [choose_tier(size, settings).tier.value for size in (50, 51)]
    assert tiers == ["direct", "hierarchical_rag"]


@pytest.mark.parametrize("mode", [mode for mode in RetrievalMode if mode is not RetrievalMode.AUTO])
def test_a_tier_is_forced_by_the_settings_or_by_the_request(mode: RetrievalMode) -> None:
    assert choose_tier(5_000, RetrievalSettings(mode=mode)).tier == mode.value
    chosen = choose_tier(5_000, RetrievalSettings(mode=RetrievalMode.FLAT_RAG), mode=mode)
    assert chosen.tier == mode.value
    assert chosen.reason.startswith("the request")


def test_the_request_can_go_back_to_automatic() -> None:
    chosen = choose_tier(5, RetrievalSettings(mode=RetrievalMode.FULL_RAG), mode=RetrievalMode.AUTO)
    assert chosen.tier is SelectionTier.DIRECT


def test_direct_by_force_shows_all_that_the_hard_cap_lets_through_unless_the_caller_wants_fewer() -> None:
    settings = RetrievalSettings(mode=RetrievalMode.DIRECT, max_tools=10)
    assert choose_tier(150, settings).limit == SHORTLIST_CAP
    assert choose_tier(150, settings, max_tools=3).limit == 3


@pytest.mark.parametrize(("wanted", "size"), [(-3, 1), (0, 1), (30, 30), (200, SHORTLIST_CAP), (10**9, SHORTLIST_CAP)])
def test_a_shortlist_is_never_empty_nor_longer_than_the_cap(wanted: int, size: int) -> None:
    assert choose_tier(1_000, DEFAULT, max_tools=wanted).limit == size

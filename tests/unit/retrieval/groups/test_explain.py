from retrieval.groups.explain import GroupOrigin, why
from retrieval.groups.planning import POOLED


def test_a_whole_group_says_that_it_was_kept_with_its_figures() -> None:
    origin = GroupOrigin("api/users", 1, 12, 12, 0.83, 0.83, 0.12, "centroid")
    assert why(origin) == (
        "api/users, kept whole: 12 tools, coherence 0.83; "
        "routed by its centroid, above which its best tool is expected to stand by 0.12"
    )


def test_a_part_of_a_large_group_says_that_its_size_split_it() -> None:
    text = why(GroupOrigin("api", 4, 20, 71, 0.81, 0.52, 0.1, "centroid"))
    assert text.startswith("one of 4 parts of api, split because its 71 tools are more than 48: 20 tools")


def test_a_part_of_an_incoherent_group_says_that_its_coherence_split_it() -> None:
    text = why(GroupOrigin("api", 2, 9, 20, 0.81, 0.52, 0.1, "centroid"))
    assert "split because the coherence of its 20 tools, 0.52, is below 0.75" in text


def test_a_pool_and_routing_by_best_member_are_told() -> None:
    text = why(GroupOrigin(POOLED, 1, 5, 5, 0.44, 0.44, 0.2, "best_member"))
    assert text.startswith("the integration's groups of fewer than 6 tools, kept together")
    assert text.endswith("routed by its best member, because no centroid speaks for a coherence below 0.70")

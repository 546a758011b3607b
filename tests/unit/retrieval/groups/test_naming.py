from retrieval.groups.naming import cluster_names, pooled_name


def test_a_cluster_is_named_by_the_words_that_its_siblings_use_less() -> None:
    mail = ["listUserMessages", "sendUserMessage", "deleteUserMessage"]
    calendar = ["listUserEvents", "createUserEvent", "deleteUserEvent"]
    names = cluster_names("graph", [mail, calendar])
    assert names[0].startswith("graph: message")
    assert names[1].startswith("graph: event")


def test_ties_are_broken_by_the_word_so_that_names_stay() -> None:
    assert cluster_names("api", [["beta_alpha"], ["gamma_delta"]]) == ["api: alpha · beta", "api: delta · gamma"]


def test_a_pool_lists_its_groups_as_far_as_they_can_be_read() -> None:
    assert pooled_name(["api/b", "api/a", "api/b"]) == "api/a, api/b"
    assert pooled_name([f"api/{letter}" for letter in "abcde"]) == "api/a, api/b, api/c and 2 more"


def test_names_that_no_word_can_be_taken_from_and_endless_ones_are_names_all_the_same() -> None:
    assert cluster_names("api", [["", "1"], ["日本語"]]) == ["api", "api: 日本語"]
    assert cluster_names("api", [["a_b"], ["c_d"]]) == ["api", "api (2)"]
    assert len(pooled_name(["x" * 1_000])) == 120

"""The baselines are what their names say."""

import numpy as np
import pytest

from benchmarks.retrieval.baselines import K1, B, Baselines, Bm25, best, fused, lucene, okapi, stems, text_of, words


def test_words_are_split_at_camel_case() -> None:
    assert words("getHttpResponse /v2/users_{userId}") == ["get", "http", "response", "v2", "users", "user", "id"]


def test_stems_leave_out_what_says_nothing() -> None:
    assert stems("Show me the running trains") == ["show", "run", "train"]


def test_bm25_scores_are_those_of_the_formula() -> None:
    found = Bm25(["red red car", "blue car", "green bus on a road"], words, lucene, repeats=True)

    [first, second, third] = found.scores("red car")

    mean = (3 + 2 + 5) / 3
    car, red = np.log1p(1.5 / 2.5), np.log1p(2.5 / 1.5)
    norm = K1 * (1 - B + B * 3 / mean)
    assert first == pytest.approx(red * 2 * (K1 + 1) / (2 + norm) + car * (K1 + 1) / (1 + norm), rel=1e-5)
    assert first > second > third == 0


def test_words_that_most_texts_hold_weigh_little_and_never_against() -> None:
    weights = okapi(10, [9, 1, 1])

    assert weights[0] > 0
    assert weights[0] < weights[1]


def test_the_best_are_in_order_and_equal_ones_as_the_catalog_lists_them() -> None:
    assert list(best(np.array([0, 2, 1, 2, 0, 0], dtype=np.float32), 4)) == [1, 3, 2, 0]
    assert list(best(np.array([1, 2], dtype=np.float32), 5)) == [1, 0]


def test_fusion_adds_reciprocal_ranks() -> None:
    scores = fused(np.array([3, 2, 1], dtype=np.float32), np.array([1, 3, 2], dtype=np.float32))

    assert scores.tolist() == pytest.approx([1 / 61 + 1 / 63, 1 / 62 + 1 / 61, 1 / 63 + 1 / 62])


def test_every_method_ranks_the_same_tools() -> None:
    texts = [text_of("search", "shop", "GET", "/items", "Find items", ["q"]), "weather in a town", "cancel an order"]
    vectors = np.eye(3, 384, dtype=np.float32)

    rankings = Baselines.over(["a", "b", "c"], texts, vectors).rankings("find items", vectors[2], 2)

    assert rankings["MiniLM"] == ["c", "a"]
    assert rankings["BM25"][0] == rankings["BM25 stemmed"][0] == "a"
    assert all(len(ranking) == 2 for ranking in rankings.values())

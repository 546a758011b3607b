import numpy as np

from retrieval.index.columns import Scores, aggregated, matrix, statement


def id_of(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_each_part_brings_its_best_and_equal_scores_go_by_id() -> None:
    tools = b"".join(id_of(number) for number in (4, 3, 2, 1))
    scores = Scores(tools, np.array([[0.5, 0.9, 0.5, 0.5], [-0.4, -0.3, -0.2, -0.1]], dtype=np.float32))
    assert scores.best(2) == {id_of(3), id_of(1), id_of(2)}
    assert scores.best(9, above=0.5) == {id_of(3)}
    assert scores.best(0) == set()


def test_nothing_found_is_no_scores() -> None:
    nothing = aggregated(None, [b"", b""])
    assert (nothing.best(5), nothing.scores.shape) == (set(), (2, 0))


def test_packed_scores_are_rows_and_a_missing_one_is_nan() -> None:
    sent = np.array([0.25, -1.0], dtype=">f4").tobytes()
    np.testing.assert_array_equal(matrix([sent, None], 2), [[0.25, -1.0], [np.nan, np.nan]])
    assert matrix([], 3).shape == (0, 3)


def test_parameters_are_numbered_part_by_part_vectors_first() -> None:
    sql = statement("these_tools", 2, 5)
    assert [f"<#> ${number})" in sql for number in range(4, 10)] == [False, True, True, True, True, False]
    assert sql.index("t.embedding <#> $6") < sql.index("t.impacts <#> $7")

import pytest

from retrieval.index.weights import Held, PartWeights, wanted_terms, weigh
from retrieval.lexical import inverse_document_frequency
from retrieval.text import lexeme_id


def parts(*words: str) -> list[PartWeights]:
    return [PartWeights(dict.fromkeys(part.split(), 1.0), {}) for part in words]


def test_rare_lexemes_weigh_more_and_those_that_nobody_holds_nothing() -> None:
    [part] = weigh([{"order": 1.0, "invoice": 2.0, "quokka": 2.0}], {"order": 10, "invoice": 10}, 100)
    common = inverse_document_frequency(100, 10)
    assert part.by_lexeme == {"order": pytest.approx(common), "invoice": pytest.approx(2 * common)}
    assert part.by_number == {lexeme_id(word): weight for word, weight in part.by_lexeme.items()}
    assert common < inverse_document_frequency(100, 1)


def test_an_empty_catalog_weighs_nothing() -> None:
    assert [part.by_number for part in weigh([{"order": 1.0}, {}], {}, 0)] == [{}, {}]
    assert wanted_terms(parts("order", ""), {}, 100).anywhere == []


def test_every_lexeme_is_looked_for_where_the_budget_holds_them_all() -> None:
    held = {"order": Held(20, 5), "user": Held(25, 9)}
    wanted = wanted_terms(parts("order user", "user quokka"), held, 100)
    assert (set(wanted.anywhere), wanted.strongly) == ({"order", "user"}, [])


def test_a_common_word_is_looked_for_where_it_is_strong_or_not_at_all() -> None:
    held = {"get": Held(900, 800), "order": Held(300, 40), "rare": Held(10, 1)}
    wanted = wanted_terms(parts("get order rare"), held, 100)
    assert (wanted.anywhere, wanted.strongly) == (["rare"], ["order"])


def test_parts_take_turns_so_that_none_uses_up_the_budget_alone() -> None:
    held = {word: Held(20, 20) for word in "abcdefgh"} | {"z": Held(25, 25)}
    wanted = wanted_terms(parts("a b c d e f g h", "z"), held, 100)
    assert "z" in wanted.anywhere
    assert sum(held[word].tools for word in wanted.anywhere) <= 100


def test_a_lexeme_that_two_parts_share_is_paid_once() -> None:
    held = {"order": Held(25, 25), "user": Held(25, 25), "city": Held(25, 25), "bill": Held(25, 25)}
    wanted = wanted_terms(parts("order user", "order city", "order bill"), held, 100)
    assert set(wanted.anywhere) == set(held)


def test_a_word_that_more_than_a_quarter_of_the_budget_hold_leaves_room_for_others() -> None:
    held = {"order": Held(26, 4), "user": Held(25, 4)}
    wanted = wanted_terms(parts("order user"), held, 100)
    assert (wanted.anywhere, wanted.strongly) == (["user"], ["order"])

"""Text → lexemes."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.text import LEXEME_SPACE, MAX_PROMPT, MAX_TERMS, MAX_WORD, lexeme_id, lexemes, terms_of

# Letters of scripts with and without spaces between words.
LETTERS = st.characters(categories=("Lu", "Ll", "Lo"), max_codepoint=0xFFFF)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("getOrderById", ["order", "id"]),
        ("list_customer_orders", ["list", "custom", "order"]),
        ("getHTTPResponseCode", ["http", "respons", "code"]),
        ("/movie/{movie_id}/credits", ["movi", "movi", "id", "credit"]),
        ("top100 EC2 v2", ["top", "100", "ec"]),
        ("cancelling cancelled cancels", ["cancel", "cancel", "cancel"]),
        ("", []),
        ("?!…", []),
    ],
)
def test_names_fall_into_stemmed_words(text: str, found: list[str]) -> None:
    assert lexemes(text) == found


def test_stop_words_of_english_are_dropped_from_english_only() -> None:
    assert lexemes("what was the name of it") == ["name"]
    assert "was" in lexemes("Was ist mit der Bestellung und dem Kunden?")


def test_accents_do_not_part_words() -> None:
    assert lexemes("Übersicht für Müller") == lexemes("ubersicht fur muller")
    assert lexemes("café") == lexemes("CAFE") == ["cafe"]
    assert lexemes("й") != lexemes("и")


@pytest.mark.parametrize(
    ("prompt", "tool"),
    [
        ("顧客の注文をキャンセルして", "注文キャンセル"),
        ("取消我的订单", "取消订单"),
        ("주문을 취소해 주세요", "주문 취소"),
        ("ค้นหาหนังใหม่", "ค้นหา หนัง"),
        ("покажи мои заказы", "ПОКАЖИ заказы"),
        ("मेरे सभी आदेश दिखाओ", "आदेश सूची"),
        ("ابحث عن الطلبات", "الطلبات"),
    ],
)
def test_a_prompt_and_a_tool_of_the_same_language_meet(prompt: str, tool: str) -> None:
    assert set(terms_of(prompt)) & set(lexemes(tool))


def test_runs_without_spaces_between_words_are_cut_into_bigrams() -> None:
    assert lexemes("注文状況") == ["注文", "文状", "状況"]
    assert lexemes("iPhone注文を") == ["phone", "注文", "文を"]


def test_a_prompt_of_nothing_but_stop_words_still_has_terms() -> None:
    assert set(terms_of("what is it")) == {"what", "is", "it"}
    assert set(terms_of("x 5")) == {"x", "5"}


def test_a_term_counts_once_and_their_number_is_bounded() -> None:
    assert terms_of("order orders ordering") == {"order": 1.0}
    assert len(terms_of(" ".join(f"word{number}" for number in range(10_000)))) == MAX_TERMS


def test_letters_that_stand_for_whole_phrases_are_read_up_to_the_same_length() -> None:
    began = time.process_time()
    terms_of("\ufdfa" * MAX_PROMPT)  # one letter, eighteen once it is spelled out
    assert time.process_time() - began < 0.05


def test_generated_noise_is_not_a_word() -> None:
    assert lexemes("a" * (MAX_WORD + 1)) == []


@given(st.text(max_size=300))
def test_any_text_gives_lexemes(text: str) -> None:
    assert all(0 < len(lexeme) <= MAX_WORD * 4 and not any(map(str.isspace, lexeme)) for lexeme in lexemes(text))


@given(st.text(LETTERS, min_size=2, max_size=20))
def test_a_text_of_letters_in_any_script_gives_terms_that_it_shares_with_itself(word: str) -> None:
    terms = terms_of(word)
    assert terms
    assert all(weight > 0 for weight in terms.values())
    assert set(lexemes(word)) <= set(terms)


@given(st.text(max_size=40))
def test_a_lexemes_number_is_stable_and_within_the_space(lexeme: str) -> None:
    assert 0 <= lexeme_id(lexeme) == lexeme_id(lexeme) < LEXEME_SPACE


def test_a_lexemes_number_stays_what_stored_vectors_were_written_with() -> None:
    assert [lexeme_id("order"), lexeme_id("注文")] == [113142680, 473219871]

"""No bound value stays, in any text, in any spelling."""

import base64
import json
import urllib.parse

from hypothesis import example, given
from hypothesis import strategies as st

from planvault.redact import MASK, SHORTEST_INSIDE, Redactor

# Few letters, so that values overlap each other, themselves and the mask.
letters = st.sampled_from('ab*%=/+"\\ ü\n0')
values = st.text(letters, min_size=SHORTEST_INSIDE, max_size=14)
texts = st.text(letters, max_size=30)
spellings = st.sampled_from(
    [
        lambda text: text,
        lambda text: json.dumps(text)[1:-1],
        lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
        lambda text: urllib.parse.quote(text, safe=""),
        lambda text: urllib.parse.quote_plus(text),
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
        lambda text: text.encode().hex(),
        repr,
    ]
)


@given(st.lists(values, min_size=1, max_size=4), st.lists(texts, min_size=1, max_size=5))
@example(["********", "aaaaaaaa"], ["aaaaaaaaaaaa"])
def test_no_bound_value_stays_in_a_text_made_of_them(secrets: list[str], gaps: list[str]) -> None:
    pieces = [piece for at, gap in enumerate(gaps) for piece in (gap, secrets[at % len(secrets)])]
    cleaned = Redactor(secrets).clean("".join(pieces))
    assert not [secret for secret in secrets if secret in cleaned]


@given(values, texts, texts, spellings)
def test_no_spelling_of_a_value_stays(secret: str, before: str, after: str, spell) -> None:
    cleaned = Redactor([secret]).clean(before + spell(secret) + after)
    assert spell(secret) not in cleaned


@given(values, st.binary(max_size=5), st.binary(max_size=5))
def test_no_alignment_of_base64_hides_a_value(secret: str, before: bytes, after: bytes) -> None:
    encoded = base64.b64encode(before + secret.encode() + after).decode()
    cleaned = Redactor([secret]).clean(encoded)
    assert MASK in cleaned
    for piece in cleaned.rstrip("=").split(MASK):
        for lead in range(4):  # whatever a reader guesses of the alignment
            text = "A" * lead + piece
            assert secret.encode() not in base64.b64decode(text + "A" * (-len(text) % 4))


@given(
    values, st.recursive(texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
)
def test_no_leaf_or_key_of_json_keeps_a_value(secret: str, shape: object) -> None:
    planted = {"x": [secret, {secret: shape}], "y": f"<{secret}>"}
    flat = json.dumps(Redactor([secret]).clean_json(planted), ensure_ascii=False)
    assert json.dumps(secret, ensure_ascii=False)[1:-1] not in flat


@given(st.lists(values, max_size=3), texts)
def test_cleaning_twice_changes_nothing_more(secrets: list[str], text: str) -> None:
    redactor = Redactor(secrets)
    assert redactor.clean(redactor.clean(text)) == redactor.clean(text)

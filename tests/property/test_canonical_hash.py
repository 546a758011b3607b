"""The fast way to a canonical hash and the standard's own spelling never disagree."""

import hashlib

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from planvault.plan.hashing import canonical_hash

_SAFE = 2**53 - 1
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-_SAFE, _SAFE)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.text(st.characters(max_codepoint=0x7F))
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(st.dictionaries(st.text(), VALUES))
def test_the_hash_is_that_of_the_rfc_8785_form(value: dict[str, object]) -> None:
    assert canonical_hash(value) == hashlib.sha256(rfc8785.dumps(value)).hexdigest()


@given(st.dictionaries(st.text(st.characters(max_codepoint=0x7F)), st.text(st.characters(max_codepoint=0x7F))))
def test_control_characters_and_keys_in_ascii_are_spelled_and_ordered_alike(value: dict[str, str]) -> None:
    assert canonical_hash(value) == hashlib.sha256(rfc8785.dumps(value)).hexdigest()

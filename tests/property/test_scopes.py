"""Scopes against a second reading of the same rule: a pattern as a regular expression."""

import re

from hypothesis import given
from hypothesis import strategies as st

from planvault.auth.scopes import GRANTABLE, check_scopes, grants
from planvault.errors import InvalidInput

segments = st.sampled_from(["session", "tools", "history", "read", "write", "*"])
patterns = st.lists(segments, min_size=1, max_size=4).map(lambda parts: ":".join(["hrn", "project", *parts]))
plain = patterns.filter(lambda scope: "*" not in scope)


def as_regex(pattern: str) -> str:
    *middle, last = pattern.split(":")
    parts = ["[^:]+" if part == "*" else re.escape(part) for part in middle]
    return ":".join([*parts, "[^:]+(:[^:]+)*" if last == "*" else re.escape(last)])


@given(patterns, plain)
def test_matching_is_what_the_pattern_says(held: str, wanted: str) -> None:
    assert grants([held], wanted) is (re.fullmatch(as_regex(held), wanted) is not None)


@given(st.lists(patterns, max_size=4), plain)
def test_several_scopes_grant_what_one_of_them_grants(held: list[str], wanted: str) -> None:
    assert grants(held, wanted) is any(grants([scope], wanted) for scope in held)


@given(plain)
def test_the_whole_project_covers_every_scope_of_it(wanted: str) -> None:
    assert grants(["hrn:project:*"], wanted)


@given(st.text(max_size=60))
def test_a_scope_that_is_accepted_grants_something_a_route_asks_for(scope: str) -> None:
    try:
        accepted = check_scopes([scope])
    except InvalidInput:
        return
    assert any(grants(accepted, wanted) for wanted in GRANTABLE)

import pytest

from planvault.auth.scopes import GRANTABLE, check_scopes, grants
from planvault.errors import InvalidInput

CREATE = "hrn:project:session:create"
HISTORY = "hrn:project:session:history:read"


@pytest.mark.parametrize(
    ("held", "wanted", "expected"),
    [
        (CREATE, CREATE, True),
        (CREATE, "hrn:project:session:write", False),
        ("hrn:project:*", CREATE, True),
        ("hrn:project:*", HISTORY, True),
        ("hrn:project:*", "hrn:project", False),
        ("hrn:project:session:*", HISTORY, True),
        ("hrn:project:session:*", "hrn:project:tools:read", False),
        ("hrn:project:*:read", "hrn:project:tools:read", True),
        ("hrn:project:*:read", HISTORY, False),  # in the middle a star is exactly one segment
        ("hrn:project:session:create:more", CREATE, False),
        ("hrn:project:session", CREATE, False),
        ("hrn:project:session:crea*", CREATE, False),
        ("hrn:projectx:*", CREATE, False),
        ("HRN:PROJECT:*", CREATE, False),
        ("", CREATE, False),
        ("hrn:project:*", "hrn:project:*", False),  # a route never asks for a pattern
    ],
)
def test_a_scope_grants_what_it_matches_segment_by_segment(held: str, wanted: str, expected: bool) -> None:
    assert grants([held], wanted) is expected


def test_no_scopes_grant_nothing() -> None:
    assert not any(grants([], wanted) for wanted in GRANTABLE)


def test_any_of_several_scopes_is_enough() -> None:
    assert grants([CREATE, "hrn:project:tools:*"], "hrn:project:tools:read")


def test_new_scopes_are_sorted_and_doubles_dropped() -> None:
    assert check_scopes([HISTORY, CREATE, HISTORY]) == (CREATE, HISTORY)


@pytest.mark.parametrize(
    "faulty",
    ["hrn:project:nothing", "hrn:org:*", "*", "hrn:project:session:", "hrn:project:session:crea*", "hrn:*", ""],
)
def test_a_scope_that_could_grant_nothing_is_refused_by_name(faulty: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_scopes([CREATE, faulty])
    assert [error.pointer for error in refused.value.errors] == ["/scopes"]
    assert repr(faulty) in refused.value.errors[0].detail


def test_every_faulty_scope_is_named() -> None:
    with pytest.raises(InvalidInput) as refused:
        check_scopes(["one", "two"])
    assert len(refused.value.errors) == 2


def test_a_key_without_scopes_is_refused() -> None:
    with pytest.raises(InvalidInput):
        check_scopes([])

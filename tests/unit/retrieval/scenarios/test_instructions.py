"""Instructions to the planner: templates that a session's contextVars fill."""

import pytest

from models.base import JsonObject
from retrieval.scenarios.instructions import MAX_FILLED, MAX_VALUE, fault_of, filled


def test_keys_are_filled_as_text_or_as_json_and_paths_lead_into_objects() -> None:
    context: JsonObject = {"name": "Ada", "ids": [1, 2], "user": {"tier": "gold"}, "a.b": "flat"}
    text = filled("{{name}} {{ ids }} {{user.tier}} {{a.b}}", context)
    assert text == "Ada [1, 2] gold flat"


def test_a_key_that_the_session_lacks_is_seen_to_be_missing() -> None:
    assert filled("For {{customer}} and {{user.tier}}", {"user": "x"}) == (
        "For (customer: not given) and (user.tier: not given)"
    )


def test_a_value_is_never_read_as_a_template() -> None:
    assert filled("{{a}}", {"a": "{{b}}", "b": "secret"}) == "{{b}}"


def test_handles_of_secrets_are_left_to_the_plan() -> None:
    assert filled("Sign with {{secrets.TOKEN}}.", {"secrets": {"TOKEN": "x"}}) == "Sign with {{secrets.TOKEN}}."


def test_values_and_the_whole_are_bounded() -> None:
    assert len(filled("{{a}}", {"a": "x" * 10_000})) == MAX_VALUE + 1
    assert len(filled("{{a}}" * 100, {"a": "x" * 10_000})) == MAX_FILLED


@pytest.mark.parametrize("template", ["{{}}", "{{a b}}", "{{a", "{{{{a}}}}", "{{9x}}", "{{a\nb}}"])
def test_what_is_no_placeholder_is_a_fault_or_stays_as_it_is(template: str) -> None:
    if template == "{{a":
        assert fault_of(template) is None
        assert filled(template, {"a": "x"}) == template
    else:
        assert fault_of(template) is not None


def test_a_plain_text_has_no_fault() -> None:
    assert fault_of("Ask for {{order.id}} before {{ customer }} pays {50}.") is None

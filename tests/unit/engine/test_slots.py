"""Forms send text; plans get what they declared."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.base import JsonValue
from models.plans import Slot, SlotType
from planvault.engine.slots import fill


def one(type_: SlotType, value: JsonValue, options: tuple[JsonValue, ...] = ()) -> JsonValue | str:
    """The value that the slot takes, or the fault's text."""
    slot = Slot(variable="x", prompt="?", type=type_, options=options)  # type: ignore[arg-type]
    filled = fill([slot], {"x": value})
    return filled.errors[0].detail if filled.errors else filled.values["x"]


@pytest.mark.parametrize(
    ("type_", "given_", "read"),
    [
        (SlotType.STRING, "Ada", "Ada"),
        (SlotType.STRING, 7, "7"),
        (SlotType.STRING, "  ", "a text that is not empty is required"),
        (SlotType.INTEGER, " 12 ", 12),
        (SlotType.INTEGER, 12.0, 12),
        (SlotType.INTEGER, "12.5", "a whole number is required"),
        (SlotType.INTEGER, True, "a whole number is required"),
        (SlotType.NUMBER, "12.5", 12.5),
        (SlotType.NUMBER, "nan", "a number is required"),
        (SlotType.NUMBER, "1e999", "a number is required"),
        (SlotType.BOOLEAN, "Yes", True),
        (SlotType.BOOLEAN, "maybe", "true or false is required"),
        (SlotType.OBJECT, '{"a": 1}', {"a": 1}),
        (SlotType.OBJECT, "[1]", "a JSON object is required"),
        (SlotType.ARRAY, "[1, 2]", [1, 2]),
        (SlotType.ARRAY, "[1", "JSON is required: Expecting ',' delimiter at column 3"),
    ],
)
def test_a_value_is_read_by_the_slot_s_type(type_: SlotType, given_: JsonValue, read: JsonValue) -> None:
    assert one(type_, given_) == read


@pytest.mark.parametrize(
    ("type_", "given_"),
    [
        (SlotType.INTEGER, "9" * 30),
        (SlotType.NUMBER, 10**400),
        (SlotType.OBJECT, '{"a": %s}' % ("9" * 30)),
        (SlotType.ARRAY, "[NaN]"),
        (SlotType.ARRAY, "[1e999]"),
        (SlotType.ARRAY, '["\\ud800"]'),
        (SlotType.OBJECT, '{"\\ud800": 1}'),
        (SlotType.STRING, "\ud800"),
        (SlotType.ARRAY, "[" * 200 + "]" * 200),
        (SlotType.ARRAY, "[" * 100_000),
    ],
)
def test_a_value_that_the_record_cannot_hold_is_refused(type_: SlotType, given_: JsonValue) -> None:
    assert fill([Slot(variable="x", prompt="?", type=type_)], {"x": given_}).errors


def test_a_value_outside_the_options_is_refused() -> None:
    assert one(SlotType.STRING, "green", ("red", "blue")) == "must be one of red, blue"
    assert one(SlotType.INTEGER, "2", (1, 2)) == 2


def test_every_fault_is_reported_at_once() -> None:
    slots = [Slot(variable="a", prompt="?"), Slot(variable="b", prompt="?", type=SlotType.INTEGER)]
    filled = fill(slots, {"b": "x", "c": 1})
    assert [error.pointer for error in filled.errors] == ["/values/a", "/values/b", "/values/c"]


@given(st.sampled_from(SlotType), st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
def test_no_value_breaks_the_reader(type_: SlotType, value: JsonValue) -> None:
    filled = fill([Slot(variable="x", prompt="?", type=type_)], {"x": value})
    assert filled.errors or orjson.loads(orjson.dumps(filled.values)) == filled.values

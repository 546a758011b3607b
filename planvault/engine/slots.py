"""Slot values: what a form sends, made into what the plan declared. Forms send text, so text is read by type."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from models.base import JsonValue
from models.plans import Slot, SlotType
from planvault.errors import FieldError
from planvault.plan.budget import MAX_VALUE_DEPTH
from planvault.plan.limits import INT_MAX, INT_MIN, has_surrogate


class Filled(NamedTuple):
    values: dict[str, JsonValue]
    errors: tuple[FieldError, ...]


def fill(slots: Sequence[Slot], given: Mapping[str, JsonValue]) -> Filled:
    """Typed values for all slots, or every fault. Each slot needs a value; names nobody declared are faults."""
    values: dict[str, JsonValue] = {}
    errors = [
        FieldError(f"/values/{name}", "no such slot; declared: " + ", ".join(slot.variable for slot in slots))
        for name in given.keys() - {slot.variable for slot in slots}
    ]
    for slot in slots:
        pointer = f"/values/{slot.variable}"
        if slot.variable not in given or given[slot.variable] is None:
            errors.append(FieldError(pointer, "a value is required"))
            continue
        try:
            value = _READERS[slot.type](given[slot.variable])
            _check_plain(value)
        except ValueError as fault:
            errors.append(FieldError(pointer, str(fault)))
            continue
        if slot.options and value not in slot.options:
            errors.append(FieldError(pointer, "must be one of " + ", ".join(map(str, slot.options))))
        values[slot.variable] = value
    return Filled(values, tuple(sorted(errors)))


def _check_plain(value: JsonValue) -> None:
    """What plans compute with and the record holds as it is. Text was read after the request had been checked."""
    level = [value]
    for _ in range(MAX_VALUE_DEPTH + 1):
        inner: list[JsonValue] = []
        for item in level:
            _check_scalar(item)
            if isinstance(item, dict):
                for key in item:
                    _check_scalar(key)
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        if not inner:
            return
        level = inner
    raise ValueError(f"a value nested at most {MAX_VALUE_DEPTH} levels deep is required")


def _check_scalar(value: JsonValue) -> None:
    if isinstance(value, str) and has_surrogate(value):
        raise ValueError("valid Unicode is required: a surrogate stands alone")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("numbers must be finite")
    if isinstance(value, int) and not INT_MIN <= value <= INT_MAX:
        raise ValueError("whole numbers must fit in 64 bits")


def _string(value: JsonValue) -> JsonValue:
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise ValueError("a text that is not empty is required")


def _integer(value: JsonValue) -> JsonValue:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        try:
            return int(value.strip(), 10)
        except ValueError:
            pass  # the message below says it for every kind of value
    raise ValueError("a whole number is required")


def _number(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        try:
            value = float(value.strip())
        except ValueError:
            value = None
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("a number is required")


def _boolean(value: JsonValue) -> JsonValue:
    if isinstance(value, bool):
        return value
    spelled = {"true": True, "yes": True, "false": False, "no": False}
    if isinstance(value, str) and value.strip().lower() in spelled:
        return spelled[value.strip().lower()]
    raise ValueError("true or false is required")


def _structured(
    kind: type[dict[str, JsonValue]] | type[list[JsonValue]], name: str
) -> Callable[[JsonValue], JsonValue]:
    def read(value: JsonValue) -> JsonValue:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except json.JSONDecodeError as fault:
                raise ValueError(f"JSON is required: {fault.msg} at column {fault.colno}") from fault
            except RecursionError as fault:
                raise ValueError(f"a value nested at most {MAX_VALUE_DEPTH} levels deep is required") from fault
        if isinstance(value, kind):
            return value
        raise ValueError(f"a JSON {name} is required")

    return read


_READERS: Mapping[SlotType, Callable[[JsonValue], JsonValue]] = {
    SlotType.STRING: _string,
    SlotType.INTEGER: _integer,
    SlotType.NUMBER: _number,
    SlotType.BOOLEAN: _boolean,
    SlotType.OBJECT: _structured(dict, "object"),
    SlotType.ARRAY: _structured(list, "array"),
}

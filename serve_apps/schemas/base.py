"""What every wire type shares. camelCase on the wire; what a client sends is checked strictly.

Unknown fields are refused, so that a typo (`contextvars`) is an answer and not a silence. Numbers and booleans are not
guessed from strings. The one leniency is documented where it stands: `JsonText` in sessions.
"""

from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, StringConstraints
from pydantic.alias_generators import to_camel

MAX_DEPTH = 64
MAX_VALUES = 100_000
_INT64 = range(-(2**63), 2**63)


class Body(BaseModel):
    """A request body: wire names only, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


class Reply(BaseModel):
    """A response body, built in Python by field names."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


def without_nul(text: str) -> str:
    """Postgres stores no NUL in text, and no client means one."""
    if "\x00" in text:
        raise ValueError("must not contain the NUL character")
    return text


def plain_json(value: object) -> object:
    """Free-form JSON that every later step can hold: bounded depth and size, 64-bit integers, finite numbers, UTF-8."""
    stack: list[tuple[object, int]] = [(value, 1)]
    seen = 0
    while stack:
        item, depth = stack.pop()
        seen += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"must not nest deeper than {MAX_DEPTH} levels")
        if seen > MAX_VALUES:
            raise ValueError(f"must not hold more than {MAX_VALUES} values")
        match item:
            case bool() | None:
                pass
            case str():
                _check_text(item)
            case int():
                if item not in _INT64:
                    raise ValueError("integers must fit in 64 bits")
            case float():
                if item - item != 0:  # NaN and the infinities, which JSON does not have
                    raise ValueError("numbers must be finite")
            case list():
                stack.extend((child, depth + 1) for child in item)
            case dict():
                for key, child in item.items():
                    _check_text(key)
                    stack.append((child, depth + 1))
            case _:
                raise ValueError("must be JSON")
    return value


def _check_text(text: str) -> None:
    without_nul(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode: a surrogate stands alone") from None


Text = Annotated[str, AfterValidator(without_nul)]
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), AfterValidator(without_nul)
]
Json = Annotated[JsonValue, BeforeValidator(plain_json)]
JsonDocument = Annotated[dict[str, JsonValue], BeforeValidator(plain_json)]

Item = TypeVar("Item", bound=Reply)


class Page(Reply, Generic[Item]):
    """One page of a list. `nextCursor` is null on the last page."""

    items: list[Item]
    next_cursor: str | None = Field(default=None, description="Send as `cursor` to get the next page.")

"""What every model of the vocabulary shares."""

from typing import TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue
from pydantic.alias_generators import to_camel

JsonScalar: TypeAlias = bool | int | float | str | None
JsonObject: TypeAlias = dict[str, JsonValue]

# pydantic's own recursive type is re-exported: a plain recursive alias cannot be resolved in the modules that use it.
__all__ = ["Frozen", "JsonObject", "JsonScalar", "JsonValue"]


class Frozen(BaseModel):
    """An immutable value. camelCase on the wire (`model_dump(by_alias=True)`), snake_case in Python."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, ser_json_inf_nan="constants"
    )

"""Old events as today's engine reads them: one function a schema version, applied where a record is read.

`evolve` knows the newest payloads only. Whoever reads rows passes each payload through `upcast` with the version that
its row carries; docs/events.md says when a new version, and so a new step, is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, cast

from models.base import JsonObject
from models.events import SCHEMA_VERSION, EventType

Step: TypeAlias = Callable[[EventType, JsonObject], JsonObject]


def upcast(type_: EventType, payload: JsonObject, version: int) -> JsonObject:
    """The payload of an event that was written under `version`, as version SCHEMA_VERSION would have written it."""
    if version != SCHEMA_VERSION:
        for step in STEPS[version - 1 :]:
            payload = step(type_, payload)
    return payload


def _from_1(type_: EventType, payload: JsonObject) -> JsonObject:
    """Version 2 lets reads run concurrently. A run that began without that goes on without it: it was recorded so."""
    if type_ is not EventType.EFFECT_RECORDED or payload["kind"] != "prepare":
        return payload
    settings = cast("JsonObject", payload["settings"])
    limits = cast("JsonObject", settings["limits"])
    return {**payload, "settings": {**settings, "limits": {**limits, "max_parallel_calls": 1}}}


STEPS: Sequence[Step] = (_from_1,)  # the first one reads version 1

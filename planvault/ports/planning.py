"""Language models, and the planner that makes plans with them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from models.base import JsonObject
from models.planning import LlmUsage, PlanOutcome, PlanRequest


class Structure(StrEnum):
    """How far a model can be held to a JSON schema. Each stage contains the ones after it."""

    JSON_SCHEMA = "json_schema"  # strict response_format
    JSON_OBJECT = "json_object"  # some JSON object
    NONE = "none"  # text


@dataclass(frozen=True, slots=True)
class LlmMessage:
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class LlmRequest:
    """One completion. `schema` is what the answer should look like, enforced as far as the model can be held to it."""

    messages: tuple[LlmMessage, ...]
    schema: JsonObject | None = None
    model: str | None = None  # None: the platform's
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class LlmAnswer:
    text: str
    model: str
    usage: LlmUsage
    truncated: bool = False  # the model ran out of tokens before it was done


class Llm(Protocol):
    async def structure(self, model: str | None = None) -> Structure:
        """What is known of a model's ability to keep to a schema. Raises LlmFailed when no model can be found."""
        ...

    async def complete(self, request: LlmRequest) -> LlmAnswer:
        """The model's answer. Sends nothing twice but to ask for less structure. Raises LlmFailed."""
        ...


class Planner(Protocol):
    async def plan(self, request: PlanRequest) -> PlanOutcome:
        """A valid plan over the request's tools, or the problems that stood in the way. Raises LlmFailed."""
        ...

"""One completion from any vendor or server, through LiteLLM.

A request is sent once. The only second request is one that asks for less structure, after a server refused
`response_format`; what a model accepts is then remembered. LiteLLM's own retries and fallbacks are off.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from types import ModuleType
from typing import TypedDict

import structlog

from models.base import JsonObject
from models.planning import LlmUsage
from planvault.errors import LlmFailed, LlmRefused
from planvault.llm.choice import ModelChoice
from planvault.llm.discovery import first_model
from planvault.llm.failures import Redactor, llm_failed, status_of
from planvault.llm.vendor import load_litellm
from planvault.ports import LlmAnswer, LlmRequest, Structure

_log = structlog.get_logger(__name__)

_LESS = {Structure.JSON_SCHEMA: Structure.JSON_OBJECT, Structure.JSON_OBJECT: Structure.NONE}
_REFUSED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.NOT_IMPLEMENTED})
# 400s that less structure does not mend.
_NOT_ABOUT_STRUCTURE = frozenset(
    {"ContextWindowExceededError", "ContentPolicyViolationError", "LiteLLMUnknownProvider"}
)


class _Target(TypedDict, total=False):
    """The part of a LiteLLM call that says which model, where, and with which key."""

    model: str
    api_base: str
    api_key: str


def _unchanged(text: str) -> str:
    return text


class Gateway:
    """Implements `ports.Llm`."""

    def __init__(
        self,
        choice: ModelChoice,
        *,
        timeout_s: float,
        redact: Redactor = _unchanged,
        load: Callable[[], ModuleType] = load_litellm,
    ) -> None:
        self._choice = choice
        self._timeout_s = timeout_s
        self._redact = redact
        self._load = load
        self._discovered: str | None = None
        self._structure: dict[str, Structure] = {}

    async def structure(self, model: str | None = None) -> Structure:
        litellm = await asyncio.to_thread(self._load)
        target = await self._target(litellm, model)
        return self._structure_of(litellm, target)

    async def complete(self, request: LlmRequest) -> LlmAnswer:
        litellm = await asyncio.to_thread(self._load)
        target = await self._target(litellm, request.model)
        wanted = self._structure_of(litellm, target) if request.schema is not None else Structure.NONE
        sent = 0
        while True:
            sent += 1
            try:
                reply = await self._send(litellm, target, request, wanted)
            except Exception as error:  # noqa: BLE001 - LiteLLM raises whatever a vendor's client raises
                if wanted is not Structure.NONE and _is_refusal(error):
                    wanted = _LESS[wanted]
                    continue
                failed = llm_failed(target["model"], error, (self._choice.api_key,), self._redact)
                _log.warning("llm.failed", model=target["model"], error=type(error).__name__, detail=failed.detail)
            else:
                if request.schema is not None:
                    self._structure[target["model"]] = wanted
                return _answer(target["model"], reply, sent)
            # Out here it has neither cause nor context: the vendor's own error quotes keys and prompts, and Ray would
            # carry it into logs of its own and into processes that do not know what to mask.
            raise failed

    async def _send(self, litellm: ModuleType, target: _Target, request: LlmRequest, wanted: Structure) -> object:
        form = _response_format(request.schema, wanted)
        return await litellm.acompletion(
            **target,
            messages=[{"role": each.role, "content": self._redact(each.content)} for each in request.messages],
            temperature=0,
            timeout=self._timeout_s,
            num_retries=0,
            max_retries=0,
            drop_params=True,  # a reasoning model takes no temperature
            **({"response_format": form} if form else {}),
            **({"max_tokens": request.max_tokens} if request.max_tokens else {}),
        )

    async def _target(self, litellm: ModuleType, model: str | None) -> _Target:
        choice = self._choice
        name = model or choice.model
        if not choice.base_url or _names_vendor(litellm, name):
            if not name:
                raise LlmRefused("No model is configured: set PLANVAULT_LLM_MODEL.")
            own_key = choice.api_key if name == choice.model else ""
            return _Target(model=name, api_key=own_key) if own_key else _Target(model=name)
        if not name:
            if self._discovered is None:
                self._discovered = await first_model(choice.base_url, choice.api_key, self._timeout_s, self._redact)
            name = f"openai/{self._discovered}"
        # The OpenAI client insists on some key; a server without authentication ignores it.
        name = name if name.startswith("openai/") else f"openai/{name}"
        return _Target(model=name, api_base=choice.base_url, api_key=choice.api_key or "none")

    def _structure_of(self, litellm: ModuleType, target: _Target) -> Structure:
        model = target["model"]
        if model not in self._structure:
            # What a server behind a base URL can do is found out by asking it.
            self._structure[model] = Structure.JSON_SCHEMA if "api_base" in target else _documented(litellm, model)
        return self._structure[model]


def _names_vendor(litellm: ModuleType, model: str) -> bool:
    """Whether the first part of `vendor/model` is a vendor of LiteLLM other than a plain OpenAI-compatible server."""
    vendor, slash, _ = model.partition("/")
    return bool(slash) and vendor != "openai" and vendor in litellm.provider_list


def _documented(litellm: ModuleType, model: str) -> Structure:
    if litellm.supports_response_schema(model):
        return Structure.JSON_SCHEMA
    try:
        parameters = litellm.get_supported_openai_params(model) or ()
    except litellm.exceptions.BadRequestError:  # no such vendor: the completion will say so properly
        return Structure.NONE
    return Structure.JSON_OBJECT if "response_format" in parameters else Structure.NONE


def _response_format(schema: JsonObject | None, wanted: Structure) -> JsonObject | None:
    if schema is None or wanted is Structure.NONE:
        return None
    if wanted is Structure.JSON_OBJECT:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "plan", "strict": True, "schema": schema}}


def _is_refusal(error: Exception) -> bool:
    return status_of(error) in _REFUSED and type(error).__name__ not in _NOT_ABOUT_STRUCTURE


def _answer(model: str, reply: object, sent: int) -> LlmAnswer:
    """Reads LiteLLM's ModelResponse, whose attributes depend on the vendor."""
    choices = getattr(reply, "choices", None) or ()
    if not choices:
        raise LlmFailed(f"The model {model} answered without a choice.")
    usage = getattr(reply, "usage", None)
    return LlmAnswer(
        text=choices[0].message.content or "",
        model=model,
        usage=LlmUsage(
            prompt_tokens=getattr(usage, "prompt_tokens", 0) or 0,
            completion_tokens=getattr(usage, "completion_tokens", 0) or 0,
            requests=sent,
        ),
        truncated=choices[0].finish_reason == "length",
    )

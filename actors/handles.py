"""Finds actors and Serve deployments by name, and speaks to them through the core's ports."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from ray import serve
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.serve.exceptions import RayServeException

from models.planning import PlanOutcome, PlanRequest
from planvault.errors import PlanVaultError, Unavailable
from planvault.ports import Vector

_T = TypeVar("_T")


async def _answer(app: str, call: Awaitable[_T]) -> _T:
    """The deployment's answer. Its own errors come through; an application that is away is Unavailable."""
    try:
        return await call
    except PlanVaultError:
        raise
    except RayTaskError as fault:
        cause = fault.cause
        if isinstance(cause, PlanVaultError):
            raise cause from fault
        raise
    except (RayActorError, RayServeException, RayError) as fault:
        raise Unavailable(f"The {app} application does not answer ({type(fault).__name__}).") from fault


def _handle(deployment: str, app: str) -> Any:
    try:
        return serve.get_deployment_handle(deployment, app)
    except (RayServeException, RayError) as fault:
        raise Unavailable(f"The {app} application is not up ({type(fault).__name__}).") from fault


class ServeEmbedder:
    """Implements Embedder through the embedder application."""

    def __init__(self) -> None:
        self._deployment: Any = None

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        if self._deployment is None:
            self._deployment = _handle("Embedder", "embedder")
        vectors: list[Vector] = await _answer("embedder", self._deployment.embed.remote(list(texts)))
        return vectors


class ServePlanner:
    """Implements Planner through the planner application."""

    def __init__(self) -> None:
        self._deployment: Any = None

    async def plan(self, request: PlanRequest) -> PlanOutcome:
        if self._deployment is None:
            self._deployment = _handle("Planner", "planner")
        answer = await _answer("planner", self._deployment.plan.remote(request.model_dump_json().encode()))
        return PlanOutcome.model_validate_json(answer)

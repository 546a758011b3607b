"""Finds actors and Serve deployments by name, and speaks to them through the core's ports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from models.ids import BlobId
from models.planning import PlanOutcome, PlanRequest
from models.results import Extract, FragmentAnswer, FragmentRefused, Inspect, Inspected
from planvault.errors import PlanVaultError, Unavailable
from planvault.ports import Span, Vector
from planvault.tools.worker import ANSWER

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
    except (RayActorError, RayError) as fault:
        raise Unavailable(f"The {app} application does not answer ({type(fault).__name__}).") from fault


class _Deployment:
    """One deployment of Serve, whose handle is got with the first call."""

    def __init__(self, deployment: str, app: str) -> None:
        # Here and not above: Serve brings pandas and FastAPI along, tens of MiB in every actor that asks no deployment.
        from ray import serve
        from ray.serve.exceptions import RayServeException

        self._names = (deployment, app)
        self._get_handle = serve.get_deployment_handle
        self._faults = (RayServeException, RayError)
        self._handle: Any = None

    async def ask(self, method: str, *arguments: object) -> Any:
        """What the method answers. Raises Unavailable, and what the deployment itself raises of ours."""
        deployment, app = self._names
        if self._handle is None:
            try:
                self._handle = self._get_handle(deployment, app)
            except self._faults as fault:
                raise Unavailable(f"The {app} application is not up ({type(fault).__name__}).") from fault
        try:
            return await _answer(app, getattr(self._handle, method).remote(*arguments))
        except RayTaskError:
            raise
        except self._faults as fault:
            raise Unavailable(f"The {app} application does not answer ({type(fault).__name__}).") from fault


class ServeEmbedder:
    """Implements Embedder through the embedder application."""

    def __init__(self) -> None:
        self._deployment = _Deployment("Embedder", "embedder")

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        vectors: list[Vector] = await self._deployment.ask("embed", list(texts))
        return vectors

    async def embed_prompt(self, text: str, spans: Sequence[Span]) -> list[Vector]:
        vectors: list[Vector] = await self._deployment.ask("embed_prompt", text, list(spans))
        return vectors


class ServePlanner:
    """Implements Planner through the planner application."""

    def __init__(self) -> None:
        self._deployment = _Deployment("Planner", "planner")

    async def plan(self, request: PlanRequest) -> PlanOutcome:
        answer = await self._deployment.ask("plan", request.model_dump_json().encode())
        return PlanOutcome.model_validate_json(answer)


def tool_worker_names(count: int, build_id: str) -> tuple[str, ...]:
    return tuple(f"tool-worker-{slot}-{build_id}" for slot in range(count))


class RayToolWorkers:
    """Implements ToolWorkers over the build's named actors.

    All jobs of a result go to the same one while it lives, which may still hold it in memory.
    """

    def __init__(self, namespace: str, names: Sequence[str]) -> None:
        self._namespace = namespace
        self._names = tuple(names)

    async def inspect(self, job: Inspect) -> Inspected | FragmentRefused:
        answer = ANSWER.validate_json(await self._run(job, job.spooled.blob_id))
        if not isinstance(answer, Inspected | FragmentRefused):
            raise TypeError("an inspection answers what was inspected")
        return answer

    async def extract(self, job: Extract) -> FragmentAnswer:
        asked = min(stored.blob_id for stored in job.query.stored.values())
        answer = ANSWER.validate_json(await self._run(job, asked))
        if isinstance(answer, Inspected):
            raise TypeError("an extraction answers what was found")
        return answer

    async def _run(self, job: Inspect | Extract, blob_id: BlobId) -> bytes:
        first = blob_id.int % len(self._names)
        body = job.model_dump_json().encode()
        away: list[str] = []
        for name in (*self._names[first:], *self._names[:first]):
            try:
                actor: Any = await asyncio.to_thread(ray.get_actor, name, namespace=self._namespace)
                answer: bytes = await _answer(name, actor.run.remote(body))
                return answer
            except Unavailable as fault:
                away.append(fault.detail)
            except ValueError:
                away.append(f"{name} is not there.")  # Ray knows nobody of that name now
        raise Unavailable(" ".join(away))

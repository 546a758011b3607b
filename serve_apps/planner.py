"""The planner application: turns a prompt and a shortlist into a validated plan.

It is light until a model is configured: LiteLLM is imported by the first plan that needs it, and only here.
"""

import os

from pydantic import BaseModel, Field
from ray import serve
from ray.serve import Application

from models.planning import PlanRequest
from planvault.llm.choice import choose_model
from planvault.llm.gateway import Gateway
from planvault.planner.service import PlannerService
from planvault.ports import Planner as PlannerPort
from planvault.settings import Settings
from planvault.telemetry import start_logging


class PlannerArgs(BaseModel):
    """Arguments of the application in cluster/serve.yaml."""

    repairs: int | None = Field(default=None, ge=0, le=5, description="Default: PLANVAULT_PLANNER_REPAIRS")


class PlannerReplica:
    """The deployment's class, without Serve's wrapping."""

    def __init__(self, args: PlannerArgs, planner: PlannerPort | None = None) -> None:
        self._planner = planner or _planner(args, Settings())

    async def plan(self, request_json: bytes) -> bytes:
        """`PlanRequest` → `PlanOutcome`, both as JSON. Raises LlmFailed when the configured model does not answer."""
        outcome = await self._planner.plan(PlanRequest.model_validate_json(request_json))
        return outcome.model_dump_json(by_alias=True).encode()

    async def check_health(self) -> None:
        """That the event loop answers is all: an unreachable model is the request's error, and no restart mends it."""


def _planner(args: PlannerArgs, settings: Settings) -> PlannerService:
    redactor = start_logging(settings, os.environ)
    repairs = settings.planner_repairs if args.repairs is None else args.repairs
    choice = choose_model(settings, os.environ)
    if choice is None:
        return PlannerService(None, repairs=repairs)
    redactor.bind([choice.api_key])
    return PlannerService(Gateway(choice, timeout_s=settings.llm_timeout_s, redact=redactor.clean), repairs=repairs)


# A plan mostly waits for the model, so many wait in one replica.
Planner = serve.deployment(
    name="Planner",
    num_replicas=1,
    max_ongoing_requests=64,
    ray_actor_options={"num_cpus": 0.2},
    health_check_period_s=10,
    health_check_timeout_s=30,
)(PlannerReplica)


def build(args: PlannerArgs) -> Application:
    """The Serve application of this module, for cluster/serve.yaml."""
    return Planner.bind(args)

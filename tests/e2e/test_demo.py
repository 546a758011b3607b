"""`planvault demo`, as `make demo` runs it."""

import psutil
import pytest

from tests.e2e.conftest import UP_TIMEOUT_S, PlanVault

pytestmark = pytest.mark.e2e


def test_the_demo_shows_every_expected_outcome_and_leaves_nothing_behind(planvault: PlanVault) -> None:
    done = planvault("demo", timeout=2 * UP_TIMEOUT_S, PLANVAULT_LLM_MODEL="", PLANVAULT_LLM_BASE_URL="")

    assert done.returncode == 0, done.stdout + done.stderr
    for part in (
        "13 tools",
        "built-in planner",
        "First plan after",
        "approved automatically",
        "filled in {'amount': 12}",
        "carrier's tracking system is switched off",
        "All 5 prompts ended as they should",
    ):
        assert part in done.stdout
    left = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert not [command for command in left if "planvault-demo-" in " ".join(command or ())]

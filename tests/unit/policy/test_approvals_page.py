"""docs/approvals.md says nothing that is not so: its examples are executed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.runtime_policy import ApprovalRule, RuntimeApproval, RuntimePolicy
from planvault.policy.call_facts import CallFacts
from planvault.policy.cel import ConditionRejected, compiled
from planvault.policy.runtime_rules import Allow, Ask, judge
from serve_apps.schemas.runtime_policy import RuntimePolicyIn

PAGE = (Path(__file__).parents[3] / "docs" / "approvals.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def examples() -> Iterator[tuple[str, dict[str, Any], str, str]]:
    """Condition, parameters, verdict, and what the fault says."""
    for block in blocks("cel"):
        condition, *calls = block.splitlines()
        for call in calls:
            args, _, expected = call.strip().partition(" → ")
            verdict, _, fault = expected.partition(": ")
            yield condition, json.loads(args), verdict, fault


def refusals() -> Iterator[tuple[str, str]]:
    for block in blocks("cel-refused"):
        lines = block.splitlines()
        yield from zip(lines[::2], (line.strip() for line in lines[1::2]), strict=True)


def test_the_page_has_its_examples() -> None:
    assert len(list(examples())) >= 15
    assert len(list(refusals())) >= 6


@pytest.mark.parametrize(("condition", "args", "verdict", "fault"), list(examples()))
def test_an_example_is_judged_as_the_page_says(condition: str, args: dict[str, Any], verdict: str, fault: str) -> None:
    policy = RuntimePolicy(runtime_approval=RuntimeApproval(rules=(ApprovalRule(id="r", when=condition),)))
    found = judge(policy, CallFacts("pay", args, risk="money"))
    assert isinstance(found, {"asks": Ask, "passes": Allow}[verdict])
    said = found.matched[0].fault if isinstance(found, Ask) else None
    assert (said is not None) == bool(fault)
    assert fault in (said or "")


@pytest.mark.parametrize(("condition", "says"), list(refusals()))
def test_a_refusal_says_what_the_page_says(condition: str, says: str) -> None:
    if says.startswith("-"):
        compiled(condition)
        return
    with pytest.raises(ConditionRejected) as refused:
        compiled(condition)
    assert says in str(refused.value)


def test_the_page_s_policy_is_one() -> None:
    [document] = blocks("json")
    policy = RuntimePolicyIn.model_validate(json.loads(document)).policy("", RuntimePolicy())
    assert policy.runtime_approval.rules[0].quorum == 2


def test_the_page_names_every_name() -> None:
    names = re.findall(r"`((?:tool|run|session)\.\w+|args)`", PAGE.partition("## Conditions")[2])
    refused = re.compile(r"there are (.*)")
    with pytest.raises(ConditionRejected) as unknown:
        compiled("nothing_like_it")
    known = refused.search(str(unknown.value))
    assert known is not None
    assert set(known[1].split(", ")) <= set(names)

"""What the run's policy says about one call of its plan, and the hash that an approval of it is bound to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import cast

from models.base import JsonObject, JsonValue
from models.values import SecretText, Value
from planvault.engine.machine import CallReady
from planvault.engine.state import RunSettings, RunState
from planvault.plan.hashing import canonical_hash
from planvault.policy.call_facts import CallFacts
from planvault.policy.runtime_rules import Allow, Ask, Verdict, judge

_COUNT = "toolCalls"  # in a condition, however it is spelled: `run.toolCalls`, `run["toolCalls"]`


def verdict(run: RunState, call: CallReady) -> Verdict:
    """Allow, Deny or Ask. Depends on nothing but the recorded run and the call."""
    settings = _settings(run)
    policy = settings.runtime_policy
    if not has_rules(run):
        return Allow()
    facts = run.facts[call.node.tool]
    return judge(
        policy,
        CallFacts(
            tool=facts.pin.name,
            args={name: _spelled(value) for name, value in call.args.items()},
            version=facts.pin.version,
            integration=facts.integration,
            risk=facts.risk.value,
            idempotency=facts.idempotency.value,
            tool_calls=run.tool_calls,
            node_id=call.node.id,
            requested_by=run.requested_by,
            requested_signed_in=run.requested_signed_in,
            tags=settings.session_tags,
        ),
    )


def has_rules(run: RunState) -> bool:
    """Whether the run's policy says anything about calls at all."""
    policy = _settings(run).runtime_policy
    return bool(policy.runtime_approval.rules or policy.runtime_safety.constraints)


def counts_calls(run: RunState) -> bool:
    """Whether a rule may speak of how many calls the run has made before."""
    policy = _settings(run).runtime_policy
    conditions = [rule.when for rule in policy.runtime_approval.rules]
    conditions += [constraint.when for constraint in policy.runtime_safety.constraints]
    return any(_COUNT in condition for condition in conditions)


def call_hash(run: RunState, call: CallReady, ask: Ask) -> str:
    """SHA-256 (RFC 8785) of what is approved: this step, the tool at its version, every parameter, the policy."""
    return canonical_hash(
        {
            "tool": cast("JsonObject", run.facts[call.node.tool].model_dump(mode="json")),
            "args": {name: _tagged(value) for name, value in call.args.items()},
            "nodeId": call.node.id,
            "iteration": call.iteration,
            "policy": policy_version(_settings(run)),
            "rules": [each.rule.id for each in ask.matched],
        }
    )


def policy_version(settings: RunSettings) -> str:
    """One hash a policy, whoever set it and when."""
    return canonical_hash(cast("JsonObject", settings.runtime_policy.model_dump(mode="json")))


def correlation_id(run: RunState, bound_to: str) -> str:
    """Names one question of one run; another question, another name."""
    return hashlib.sha256(f"{run.name}|{bound_to}".encode()).hexdigest()[:32]


def standing(run: RunState) -> CallReady:
    """The call that the run's machine stands before."""
    if not isinstance(run.stop, CallReady):
        raise AssertionError("the machine does not stand before a call")
    return run.stop


def _settings(run: RunState) -> RunSettings:
    if run.settings is None:
        raise AssertionError("a run executes under recorded settings")
    return run.settings


def _spelled(value: Value) -> JsonValue:
    """As a rule sees it: a secret is its handle's text."""
    if isinstance(value, SecretText):
        return str(value)
    if isinstance(value, list):
        return [_spelled(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _spelled(item) for name, item in value.items()}
    return value


def _tagged(value: Value) -> JsonValue:
    """As it is hashed: a handle differs from a text that spells one."""
    if isinstance(value, SecretText):
        return {"$secretText": [part if isinstance(part, str) else {"name": part.name} for part in value.parts]}
    if isinstance(value, list):
        return [_tagged(item) for item in value]
    if isinstance(value, Mapping):
        return {f"_{name}": _tagged(item) for name, item in value.items()}
    return value

"""Every secret that a run's calls can bind: a service may give one back in the answer to a later, other call."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from models.ids import RunId
from models.plans import Plan, SecretRef
from models.signals import SignalHandle
from models.tenants import SessionScope
from planvault.engine.state import RunState
from planvault.engine.tokens import token_of
from planvault.errors import NotFound
from planvault.plan.flow import all_nodes, all_parts, expressions
from planvault.ports import Secrets, Signals

Templates: TypeAlias = Callable[[], Awaitable[Iterable[Mapping[str, str]]]]

_HANDLE = re.compile(r"\{\{\s*secrets\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_RUNS = 512
_KEPT_S = 60.0  # a secret that was changed since is known to the call that binds it


class RunSecrets:
    """The values, looked up once a run and minute. They follow from the plan: a host that takes a run over knows them
    as the one before did."""

    def __init__(self, secrets: Secrets, signals: Signals, monotonic: Callable[[], float]) -> None:
        self._secrets = secrets
        self._signals = signals
        self._monotonic = monotonic
        self._known: OrderedDict[RunId, tuple[float, tuple[str, ...]]] = OrderedDict()

    async def of(self, scope: SessionScope, run: RunState, templates: Templates) -> tuple[str, ...]:
        """`templates`: the auth headers of the integrations that the plan calls. A name that nothing defines is left
        out: the call that needs it says so. Raises what the look-ups raise else."""
        now = self._monotonic()
        known = self._known.get(run.run_id)
        if known is not None and now - known[0] < _KEPT_S:
            return known[1]
        names = {*_in_plan(run.plan), *_in_templates(await templates())}
        found = [value for name in sorted(names) for value in await self._values(scope, run.run_id, name)]
        self._known[run.run_id] = (now, tuple(found))
        self._known.move_to_end(run.run_id)
        if len(self._known) > _RUNS:
            self._known.popitem(last=False)
        return tuple(found)

    async def _values(self, scope: SessionScope, run_id: RunId, name: str) -> tuple[str, ...]:
        handle = SignalHandle.read(name)
        if handle is not None:
            if handle.is_url:
                return ()  # an address; its credential is what opens it
            credential = await self._signals.credential(scope, token_of(run_id, handle.name))
            return credential, credential.partition(":")[2]
        try:
            return (await self._secrets.value(scope, name),)
        except NotFound:
            return ()


def _in_plan(plan: Plan | None) -> Iterator[str]:
    for node in () if plan is None else all_nodes(plan.body):
        for expr in expressions(node):
            yield from (part.name for part in all_parts(expr) if isinstance(part, SecretRef))


def _in_templates(templates: Iterable[Mapping[str, str]]) -> Iterator[str]:
    for headers in templates:
        for template in headers.values():
            yield from _HANDLE.findall(template)

"""Keeps what calls read again and again. A tool at a version never changes; where it is called may, within a second."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

from models.ids import OrgId, ToolId
from models.tenants import ProjectScope
from models.tools import Tool
from planvault.engine.state import ToolPin
from planvault.ports import CallTarget, Catalog

_K = TypeVar("_K")
_V = TypeVar("_V")

_TOOLS = 4_096
_TARGETS = 1_024
_TARGET_S = 1.0


class ToolCache:
    def __init__(self, catalog: Catalog, monotonic: Callable[[], float]) -> None:
        self._catalog = catalog
        self._monotonic = monotonic
        self._tools: OrderedDict[tuple[OrgId, ToolId, int], Tool] = OrderedDict()
        self._targets: OrderedDict[tuple[UUID, UUID], tuple[float, CallTarget]] = OrderedDict()

    async def many(self, scope: ProjectScope, pins: Sequence[ToolPin]) -> list[Tool]:
        """The tools at these versions, in order. Raises NotFound for one that is gone."""
        keys = [(scope.org_id, pin.id, pin.version) for pin in pins]
        known = {key: self._tools[key] for key in keys if key in self._tools}  # others may push them out meanwhile
        missing = [(tool_id, version) for org, tool_id, version in keys if (org, tool_id, version) not in known]
        if missing:
            read = await self._catalog.tools(scope, missing)
            known |= {(scope.org_id, tool.id, tool.version): tool for tool in read}
        found = [known[key] for key in keys]
        for key, tool in zip(keys, found, strict=True):
            _remember(self._tools, key, tool, _TOOLS)
        return found

    async def target(self, scope: ProjectScope, tool: Tool, *, fresh: bool = False) -> CallTarget:
        """Where the tool is called: `fresh` as it stands now, else at most a second old."""
        key = (scope.project_id, tool.integration_id)
        now = self._monotonic()
        known = self._targets.get(key)
        if not fresh and known is not None and now - known[0] < _TARGET_S:
            return known[1]
        target = await self._catalog.binding(scope, tool)
        _remember(self._targets, key, (now, target), _TARGETS)
        return target


def _remember(cache: OrderedDict[_K, _V], key: _K, value: _V, most: int) -> None:
    cache[key] = value
    cache.move_to_end(key)
    if len(cache) > most:
        cache.popitem(last=False)

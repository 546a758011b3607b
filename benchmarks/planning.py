"""How often the built-in planner (no model) finds the path of tools that people wrote down as right.

    python -m benchmarks.planning DIR [--json FILE] [--shortlist 30] [--limit N]

DIR holds `queries.jsonl` and `tools.jsonl` in the form of the shared benchmark data. Where the services' own documents
lie beside them (`NAME_oas.json`, one a split), tools are imported from those through `planvault.ingestion`, so that
parameters and results are typed; otherwise they are what `tools.jsonl` says, which knows no results to chain on.

Two conditions: `shortlist` ranks the whole set with all-MiniLM-L6-v2 and keeps the best, as the product does; `catalog`
gives every tool of the gold tools' groups, unranked. Figures, in percent of the queries:

    exact     the calls are the gold path, in order
    path      the gold path is a subsequence of the calls, or both are the same set (RestBench's correct path)
    set       both are the same set
    first     the first call is the gold path's first (any of its tools where the set gives no order)
    valid     the outcome is a plan that validates (a plan that only replies counts)
    asks      the plan has slots
    silent    the plan calls nothing

The planner's word lists and weights were made on general grounds, on tools of our own; the benchmark is a check, not
the material it was fitted to.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from uuid import UUID

import numpy as np

from benchmarks.datasets import declared_tools, documents, drafts_of, rows, strings
from benchmarks.machine import facts
from models.base import JsonObject, JsonValue
from models.ids import IntegrationId, OrgId, ToolId
from models.planning import PlanOutcome, PlanRequest
from models.plans import Call, Plan, PlanNode
from models.tools import Tool
from planvault.ingestion.drafts import ToolDraft
from planvault.ingestion.openapi import extract
from planvault.ingestion.parse import parse_spec
from planvault.plan.flow import all_nodes
from planvault.planner.builtin.planner import plan_without_model
from retrieval.documents import tool_document
from retrieval.embedding import MiniLm

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_NOBODY = (OrgId(UUID(int=0)), IntegrationId(UUID(int=0)))
_LARGEST_CATALOG = 200  # the product's hard cap of a shortlist
_RATES = ("exact", "path", "set", "first", "valid", "asks", "silent")


@dataclass(frozen=True, slots=True)
class Query:
    id: str
    text: str
    split: str
    gold: tuple[str, ...]
    ordered: bool


@dataclass(frozen=True, slots=True)
class Scored:
    """One plan against its gold path."""

    query: Query
    calls: tuple[str, ...]
    outcome: PlanOutcome
    milliseconds: float

    def rates(self) -> dict[str, bool]:
        gold, calls = self.query.gold, self.calls
        plan = self.outcome.plan
        same_set = set(gold) == set(calls)
        return {
            "exact": (gold == calls) if self.query.ordered else sorted(gold) == sorted(calls),
            "path": same_set or (self.query.ordered and _is_subsequence(gold, calls)),
            "set": same_set,
            "first": bool(calls) and (calls[0] == gold[0] if self.query.ordered else calls[0] in gold),
            "valid": plan is not None,
            "asks": plan is not None and bool(plan.slots),
            "silent": plan is not None and not calls,
        }


def read_queries(folder: Path, known: Sequence[str]) -> list[Query]:
    """Queries whose gold tools all exist, in file order."""
    found = []
    for row in rows(folder / "queries.jsonl"):
        plan, ids = row.get("gold_plan"), strings(row["gold_tool_ids"])
        gold = _steps(plan) if isinstance(plan, list) else ids
        query = Query(str(row["query_id"]), str(row["text"]), str(row.get("split", "")), gold, isinstance(plan, list))
        if gold and set(gold) <= set(known):
            found.append(query)
    return found


def read_tools(folder: Path) -> dict[str, Tool]:
    """Tools by the set's id: imported from the documents beside it, else made of `tools.jsonl`."""
    found = documents(folder)
    return dict(_imported(found) if found else _declared(folder))


def _imported(found: Mapping[str, Path]) -> Iterator[tuple[str, Tool]]:
    number = 0
    for group, document in found.items():
        for draft in extract(parse_spec(document.read_text(encoding="utf-8"))).drafts:
            number += 1
            yield f"{group}::{draft.binding.method} {draft.binding.path}", _tool(draft, group, number)


def _declared(folder: Path) -> Iterator[tuple[str, Tool]]:
    tools = declared_tools(folder)
    for number, (declared, draft) in enumerate(zip(tools, drafts_of(tools), strict=True), 1):
        yield declared.id, _tool(draft, declared.group, number)


def _tool(draft: ToolDraft, group: str, number: int) -> Tool:
    return Tool(
        id=ToolId(UUID(int=number)),
        org_id=_NOBODY[0],
        integration_id=_NOBODY[1],
        name=draft.name,
        group=group,
        summary=draft.summary,
        description=draft.description,
        params=draft.params,
        outputs=draft.outputs,
        binding=draft.binding,
        risk=draft.risk,
        idempotency=draft.idempotency,
    )


class Shortlists:
    """The tools that a query is planned with, in each condition."""

    def __init__(self, tools: dict[str, Tool], size: int) -> None:
        self._tools = tools
        self._size = size
        self._all = tuple(tools.values())
        self._model = MiniLm.load(threads=2)
        self._vectors = self._model.embed([tool_document(tool) for tool in self._all])

    def ranked(self, query: Query) -> tuple[Tool, ...]:
        """The nearest tools of the whole set, best first."""
        scores = self._vectors @ self._model.embed([query.text])[0]
        return tuple(self._all[index] for index in np.argsort(-scores, kind="stable")[: self._size])

    def catalog(self, query: Query) -> tuple[Tool, ...]:
        """Every tool of the gold tools' groups, unranked, as far as the product would hand them over."""
        groups = {self._tools[tool_id].group for tool_id in query.gold}
        return tuple(tool for tool in self._all if tool.group in groups)[:_LARGEST_CATALOG]


def score(query: Query, tools: tuple[Tool, ...], ids: dict[str, str]) -> Scored:
    """`ids` are the set's ids by tool name."""
    started = time.perf_counter()
    outcome = plan_without_model(PlanRequest(prompt=query.text, tools=tools, run_started_at=_NOW))
    took = (time.perf_counter() - started) * 1_000
    return Scored(query, tuple(ids[name] for name in called(outcome.plan)), outcome, took)


def called(plan: Plan | None) -> list[str]:
    """The tools of a plan's calls, in the order in which they stand."""
    nodes: list[PlanNode] = list(all_nodes(plan.body)) if plan is not None else []
    return [node.tool for node in nodes if isinstance(node, Call)]


def summary(scored: Sequence[Scored]) -> JsonObject:
    rates = [each.rates() for each in scored]
    found: JsonObject = {"queries": len(scored)}
    for name in _RATES:
        found[name] = round(100 * sum(rate[name] for rate in rates) / max(len(rates), 1), 1)
    found["medianMs"] = round(median(each.milliseconds for each in scored), 1) if scored else 0.0
    return found


def run(folder: Path, size: int, limit: int | None) -> JsonObject:
    """Every figure of a set, by condition and split; `single` are the queries with one gold tool."""
    tools = read_tools(folder)
    ids = {tool.name: tool_id for tool_id, tool in tools.items()}
    queries = read_queries(folder, list(tools))[:limit]
    shortlists = Shortlists(tools, size)
    result: JsonObject = {"set": folder.name, "tools": len(tools), "shortlistSize": size, "machine": dict(facts())}
    for condition, choose in (("shortlist", shortlists.ranked), ("catalog", shortlists.catalog)):
        scored = [score(query, choose(query), ids) for query in queries]
        parts: dict[str, list[Scored]] = defaultdict(list)
        for each in scored:
            parts["all"].append(each)
            parts[each.query.split].append(each)
            if len(each.query.gold) == 1:
                parts["single"].append(each)
        result[condition] = {name: summary(part) for name, part in sorted(parts.items())}
    return result


def table(result: JsonObject) -> str:
    lines = [f"{'':22}{'queries':>8}" + "".join(f"{name:>8}" for name in (*_RATES, "ms"))]
    for condition in ("shortlist", "catalog"):
        parts = result[condition]
        for name, row in parts.items() if isinstance(parts, dict) else ():
            if isinstance(row, dict):
                figures = [row["queries"], *(row[rate] for rate in _RATES), row["medianMs"]]
                lines.append(f"{condition + ' ' + name:22}" + "".join(f"{figure!s:>8}" for figure in figures))
    return "\n".join(lines)


def _is_subsequence(wanted: Sequence[str], given: Sequence[str]) -> bool:
    rest = iter(given)
    return all(each in rest for each in wanted)


def _steps(plan: Sequence[JsonValue]) -> tuple[str, ...]:
    """Tool ids of a gold plan, whose steps are ids or objects; `var_result` is NESTFUL's answer and no call."""
    names = [str(step.get("name")) if isinstance(step, dict) else str(step) for step in plan]
    return tuple(name for name in names if name != "var_result")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE", dest="output")
    parser.add_argument("--shortlist", type=int, default=30, metavar="N")
    parser.add_argument("--limit", type=int, default=None, metavar="N", help="only the first N queries")
    arguments = parser.parse_args()
    result = run(arguments.folder, arguments.shortlist, arguments.limit)
    print(f"{result['set']}: {result['tools']} tools, built-in planner, shortlist of {result['shortlistSize']}")
    print(table(result))
    print(json.dumps(result["machine"]))
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

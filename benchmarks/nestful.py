"""NESTFUL's gold plans in the plan language: does it express what others wrote down as good plans?

    python -m benchmarks.nestful DIR [--json FILE]

DIR holds `tools.jsonl` and `queries.jsonl` (IBM/NESTFUL, Apache-2.0, in the form of the shared benchmark data). A gold
plan is a list of calls; arguments refer to earlier results as `$var1.field$`, alone or inside a text, and the last
entry, `var_result`, names what is answered.

The data contradict themselves in places: gold calls use parameters that their tool does not declare, leave required
ones out, give another type, label two steps alike, or refer to a step that does not exist (which becomes null).
Nothing is bent to hide that. `declared_tools` is what the data say, `observed_tools` is the least widening under which
every gold call is valid, and `findings` lists each difference.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

from models.base import JsonObject, JsonValue
from models.ids import IntegrationId, OrgId, ToolId
from models.plans import (
    Arg,
    Arith,
    Call,
    DictOf,
    Entry,
    Expr,
    FieldAccess,
    IndexAccess,
    ListOf,
    Lit,
    Plan,
    PlanNode,
    Reply,
    Var,
)
from models.tools import HttpBinding, ParamLocation, Tool, ToolParam
from planvault.plan.hashing import canonical_hash
from planvault.plan.inference import literal_of
from planvault.plan.parameter_schema import mismatch
from planvault.plan.secret_text import text_of
from planvault.plan.validate import validate

RESULT = "var_result"
_REFERENCE = re.compile(r"\$(var\d+)(?:\.([^$]+))?\$")
_HALF_REFERENCE = re.compile(r"(?<!\$)\bvar\d+\.[\w ]+\$")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_TERM = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|" + _REFERENCE.pattern + r")\s*")
_NUMERIC = frozenset({"number", "integer"})


@dataclass(frozen=True, slots=True)
class Query:
    id: str
    text: str
    steps: tuple[JsonObject, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where the gold data do not agree with themselves."""

    query: str
    tool: str
    parameter: str
    kind: str  # undeclared_parameter, missing_required, type_mismatch, {malformed,dangling}_reference, repeated_label
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Converted:
    query: Query
    plan: Plan
    findings: tuple[Finding, ...]


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def read_queries(folder: Path) -> list[Query]:
    rows = (json.loads(line) for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines())
    return [Query(row["query_id"], row["text"], tuple(row["gold_plan"])) for row in rows]


def declared_tools(folder: Path) -> list[Tool]:
    """The tools as declared; type words are normalised, nothing else."""
    rows = (json.loads(line) for line in (folder / "tools.jsonl").read_text(encoding="utf-8").splitlines())
    return [_tool(row) for row in rows]


def _tool(row: JsonObject) -> Tool:
    listed = row["parameters"]
    assert isinstance(listed, list)
    return Tool(
        id=ToolId(UUID(canonical_hash({"name": row["name"]})[:32])),
        org_id=OrgId(UUID(int=0)),
        integration_id=IntegrationId(UUID(int=0)),
        name=str(row["name"]),
        group=str(row["group"]),
        description=str(row["description"]),
        params=tuple(_param(item) for item in listed if isinstance(item, dict)),
        binding=HttpBinding(method=str(row["method"]), path=str(row["path"])),
    )


def _param(item: JsonObject) -> ToolParam:
    return ToolParam(
        name=str(item["name"]),
        location=ParamLocation.QUERY,
        schema_=schema_of(str(item["type"])),
        required=item["required"] is True,
        description=str(item["description"]),
    )


def schema_of(word: str) -> JsonObject:
    """NESTFUL's type word as a JSON Schema. `Enum` names neither type nor values, so it allows any."""
    folded = word.lower()
    if folded in {"string", "number", "integer", "boolean", "array", "object"}:
        return {"type": folded}
    if folded.startswith("date"):
        return {"type": "string", "format": "date"}
    if folded == "enum":
        return {}
    raise ValueError(f"NESTFUL has no type {word!r} as far as this converter knows")


# ── converting ───────────────────────────────────────────────────────────────────────────────────────────────────────


def convert(query: Query, tools: Sequence[Tool]) -> Converted:
    """The gold plan as IR: one call a step, the last entry as the reply."""
    by_name = {tool.name: tool for tool in tools}
    converter = _Converter(query)
    body: list[PlanNode] = []
    for number, step in enumerate(query.steps, 1):
        name, arguments = str(step["name"]), step["arguments"]
        assert isinstance(arguments, dict)
        if name == RESULT:
            body.append(Reply(id=f"n{number}", expr=converter.value(arguments, name, "", None)))
        else:
            args = converter.arguments(by_name[name], arguments)
            target = converter.label(str(step["label"]), number, name)
            body.append(Call(id=f"n{number}", target=target, tool=name, args=args))
    return Converted(query, Plan(body=tuple(body)), tuple(converter.findings))


class _Converter:
    def __init__(self, query: Query) -> None:
        self._query = query
        self.findings: list[Finding] = []
        self.labels: set[str] = set()  # of the steps so far

    def _find(self, tool: str, parameter: str, kind: str, detail: str = "") -> None:
        self.findings.append(Finding(self._query.id, tool, parameter, kind, detail))

    def label(self, given: str, number: int, tool: str) -> str:
        """The variable of a step. Labels count the steps; one that is given twice is taken by its position."""
        label = given
        if given in self.labels:
            label = f"var{number}"
            self._find(tool, "", "repeated_label", given)
        self.labels.add(label)
        return label

    def arguments(self, tool: Tool, arguments: JsonObject) -> tuple[Arg, ...]:
        for param in tool.params:
            if param.required and param.name not in arguments:
                self._find(tool.name, param.name, "missing_required")
        return tuple(Arg(name=name, expr=self._argument(tool, name, given)) for name, given in arguments.items())

    def _argument(self, tool: Tool, name: str, given: JsonValue) -> Expr:
        param = tool.param(name)
        expr = self.value(given, tool.name, name, param)
        if param is None:
            self._find(tool.name, name, "undeclared_parameter")
            return expr
        literal = literal_of(expr)
        reason = _kind_mismatch(expr, param) if literal is None else mismatch(literal.value, param.schema_)
        if reason:
            self._find(tool.name, name, "type_mismatch", reason)
        return expr

    def value(self, given: JsonValue, tool: str, name: str, param: ToolParam | None) -> Expr:
        if isinstance(given, list):
            return ListOf(items=tuple(self.value(item, tool, name, None) for item in given))
        if isinstance(given, dict):
            entries = (Entry(key=key, value=self.value(item, tool, name, None)) for key, item in given.items())
            return DictOf(entries=tuple(entries))
        if not isinstance(given, str):
            return Lit(value=given)
        if _HALF_REFERENCE.search(given):
            self._find(tool, name, "malformed_reference", given)
        dangling = [match[0] for match in _REFERENCE.finditer(given) if match[1] not in self.labels]
        if dangling:
            self._find(tool, name, "dangling_reference", " ".join(dangling))
            return Lit(value=None)
        numeric = param is not None and param.schema_.get("type") in _NUMERIC
        return (arithmetic(given) if numeric else None) or template(given)


def _kind_mismatch(expr: Expr, param: ToolParam) -> str | None:
    kind = "array" if isinstance(expr, ListOf) else "object" if isinstance(expr, DictOf) else None
    declared = param.schema_.get("type")
    return f"expected {declared}, got {kind}" if kind and declared and kind != declared else None


def template(text: str) -> Expr:
    """Text with references: one reference alone keeps its type, others are joined into text."""
    parts: list[Expr] = []
    end = 0
    for match in _REFERENCE.finditer(text):
        parts += [Lit(value=text[end : match.start()]), reference(match[1], match[2])]
        end = match.end()
    if len(parts) == 2 and end == len(text) and parts[0] == Lit(value=""):
        return parts[1]
    return text_of([part for part in [*parts, Lit(value=text[end:])] if part != Lit(value="")], None)


def arithmetic(text: str) -> Expr | None:
    """`5 * $var1.Exchange Rate$` for a numeric parameter: a chain of one operator kind, left to right; else None."""
    first = _TERM.match(text)
    if first is None or first.end() == len(text):
        return None
    expr, end = _term(first), first.end()
    operators: set[str] = set()
    while end < len(text):
        operator, term = text[end], _TERM.match(text, end + 1)
        if operator not in "+-*/" or term is None:
            return None
        operators.add("sum" if operator in "+-" else "product")
        expr = Arith.model_validate({"op": operator, "left": expr, "right": _term(term)})
        end = term.end()
    return expr if len(operators) == 1 else None


def _term(match: re.Match[str]) -> Expr:
    if match[1] is None:
        return reference(match[2], match[3])
    return Lit(value=float(match[1]) if "." in match[1] else int(match[1]))


def reference(label: str, path: str | None) -> Expr:
    """`$label.path$`: keys may hold blanks, `[0]` is a position."""
    expr: Expr = Var(name=label)
    for match in _STEP.finditer(path or ""):
        expr = (
            FieldAccess(base=expr, key=match[1])
            if match[1] is not None
            else IndexAccess(base=expr, index=Lit(value=int(match[2])))
        )
    return expr


# ── the data as they are used ────────────────────────────────────────────────────────────────────────────────────────


def observed_tools(tools: Sequence[Tool], findings: Iterable[Finding]) -> list[Tool]:
    """The declared tools, widened by exactly what the findings contradict."""
    kinds: dict[tuple[str, str], set[str]] = {}
    for finding in findings:
        kinds.setdefault((finding.tool, finding.parameter), set()).add(finding.kind)
    return [_widened(tool, kinds) for tool in tools]


def _widened(tool: Tool, kinds: dict[tuple[str, str], set[str]]) -> Tool:
    params = []
    for param in tool.params:
        found = kinds.get((tool.name, param.name), set())
        changes: dict[str, object] = {}
        if "missing_required" in found:
            changes["required"] = False
        if "type_mismatch" in found:
            changes["schema_"] = {}
        params.append(param.model_copy(update=changes))
    undeclared = sorted(
        name for (owner, name), found in kinds.items() if owner == tool.name and "undeclared_parameter" in found
    )
    params += [ToolParam(name=name, location=ParamLocation.QUERY) for name in undeclared]
    return tool.model_copy(update={"params": tuple(params)})


@dataclass(frozen=True, slots=True)
class Report:
    """How many gold plans the validator takes: over the declared tools, and over the tools as the data use them."""

    plans: int
    valid_as_declared: int
    valid_as_observed: int
    findings: dict[str, int]
    plans_with_findings: int


def measure(folder: Path) -> tuple[Report, list[Converted], list[Tool]]:
    """The report, the converted plans, and the observed tools."""
    tools = declared_tools(folder)
    converted = [convert(query, tools) for query in read_queries(folder)]
    found = [finding for one in converted for finding in one.findings]
    observed = observed_tools(tools, found)
    report = Report(
        plans=len(converted),
        valid_as_declared=sum(not validate(one.plan, tools) for one in converted),
        valid_as_observed=sum(not validate(one.plan, observed) for one in converted),
        findings=dict(Counter(finding.kind for finding in found)),
        plans_with_findings=sum(bool(one.findings) for one in converted),
    )
    return report, converted, observed


def main() -> None:
    parser = argparse.ArgumentParser(description="NESTFUL's gold plans in the plan language.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path, help="write the report and every finding here")
    options = parser.parse_args()
    report, converted, _ = measure(options.folder)
    print(json.dumps(asdict(report), indent=2))
    if options.json:
        findings = [asdict(finding) for one in converted for finding in one.findings]
        options.json.write_text(json.dumps({**asdict(report), "details": findings}, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()

"""The open benchmark data's form: `tools.jsonl` and `queries.jsonl` in one folder, service documents beside them.

Written to take what other sets of the form hold: fields that are absent or null, unknown types, repeated ids.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.base import JsonObject, JsonValue
from models.tools import HttpBinding, Idempotency, ParamLocation, RiskClass, ToolParam
from planvault.ingestion.drafts import ToolDraft
from planvault.ingestion.naming import tool_name

_TYPES = frozenset({"string", "integer", "number", "boolean", "array", "object"})
_LOCATIONS = {location.value: location for location in ParamLocation}
_DOCUMENTS = "_oas.json"


@dataclass(frozen=True, slots=True)
class DeclaredTool:
    """One line of `tools.jsonl`. `id` is the set's own."""

    id: str
    group: str
    name: str
    method: str  # upper case
    path: str  # empty where the set knows none
    description: str
    params: tuple[ToolParam, ...]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One line of `queries.jsonl`. `slots`: a needed tool each, met by any of the set's ids in it."""

    id: str
    text: str
    split: str
    slots: tuple[frozenset[str], ...]

    @property
    def ids(self) -> frozenset[str]:
        return frozenset().union(*self.slots)


def rows(file: Path) -> Iterator[JsonObject]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def declared_tools(folder: Path) -> list[DeclaredTool]:
    """`tools.jsonl` in file order; of an id that comes twice, the first."""
    found: dict[str, DeclaredTool] = {}
    for row in rows(folder / "tools.jsonl"):
        tool = _tool(row)
        found.setdefault(tool.id, tool)
    return list(found.values())


def documents(folder: Path) -> dict[str, Path]:
    """The services' own OpenAPI documents that lie beside a set, by the group that their tools have in it."""
    return {file.name.removesuffix(_DOCUMENTS): file for file in sorted(folder.glob(f"*{_DOCUMENTS}"))}


def prompts(folder: Path) -> list[Prompt]:
    """`queries.jsonl` in file order, also those that need no tool (no slots)."""
    return [
        Prompt(str(row["query_id"]), text(row["text"]), text(row.get("split")), slots_of(row))
        for row in rows(folder / "queries.jsonl")
    ]


def slots_of(row: JsonObject) -> tuple[frozenset[str], ...]:
    """`gold_slots` where the set has them, else one slot an entry of `gold_tool_ids`.

    A slot that only one tool can meet counts once, however often it is written: a shortlist holds a tool once. Equal
    slots of several tools stay apart: so many of those tools are needed.
    """
    stated = row.get("gold_slots")
    slots = [frozenset(strings(slot)) for slot in stated] if isinstance(stated, list) else []
    slots = slots or [frozenset({tool_id}) for tool_id in strings(row.get("gold_tool_ids"))]
    singles: set[frozenset[str]] = set()
    kept = []
    for slot in slots:
        if slot and slot not in singles:
            kept.append(slot)
            singles |= {slot} if len(slot) == 1 else set()
    return tuple(kept)


def draft_of(tool: DeclaredTool, name: str) -> ToolDraft:
    """What an import would have made of the tool, had its service come with a document. `name` is unique in it.

    The set's name is its title, as an operation's summary is.
    """
    return ToolDraft(
        operation=f"{tool.method} {tool.path}".rstrip(),
        name=name,
        summary=tool.name,
        description=tool.description,
        params=tool.params,
        binding=HttpBinding(method=tool.method, path=tool.path),
        risk=RiskClass.READ if tool.method == "GET" else RiskClass.WRITE,
        idempotency=Idempotency.SAFE if tool.method == "GET" else Idempotency.NONE,
    )


def drafts_of(tools: Sequence[DeclaredTool]) -> list[ToolDraft]:
    """One a tool, in order, with names that no other of them has."""
    taken: set[str] = set()
    drafts = []
    for number, tool in enumerate(tools, 1):
        name = tool_name(tool.name, f"tool_{number}")
        name = name if name not in taken else f"{name[:56]}_{number}"
        taken.add(name)
        drafts.append(draft_of(tool, name))
    return drafts


def strings(value: JsonValue) -> tuple[str, ...]:
    return tuple(str(each) for each in value) if isinstance(value, list) else ()


def text(value: JsonValue) -> str:
    return "" if value is None else str(value)


def _tool(row: JsonObject) -> DeclaredTool:
    declared = row.get("parameters")
    params = {param.name: param for param in map(_param, declared if isinstance(declared, list) else [])}
    return DeclaredTool(
        id=str(row["tool_id"]),
        group=text(row.get("group")),
        name=text(row.get("name")) or str(row["tool_id"]),
        method=(text(row.get("method")) or "GET").upper(),
        path=text(row.get("path")),
        description=text(row.get("description")),
        params=tuple(params.values()),
    )


def _param(declared: JsonValue) -> ToolParam:
    row = declared if isinstance(declared, dict) else {"name": declared}
    kind = text(row.get("type")).lower()
    schema: JsonObject = {"type": kind if kind in _TYPES else "string"}
    values = row.get("enum")
    if isinstance(values, list) and values:
        schema["enum"] = values
    name = text(row.get("name"))
    return ToolParam(
        name=name,
        location=_LOCATIONS.get(text(row.get("in")), ParamLocation.QUERY),
        wire_name=name,
        schema_=schema,
        required=row.get("required") is True,
        description=text(row.get("description")),
    )

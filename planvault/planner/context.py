"""What a model is told of a request: signatures, names and the session's variables. No payloads, no secret values."""

import json
from collections.abc import Iterable

from models.base import JsonObject
from models.planning import PlanRequest
from models.tools import Tool, ToolParam
from planvault.plan.functions import FUNCTIONS
from planvault.planner.prompts import REQUEST, load_prompt

OUTPUT_FIELDS = 5
_TOOL_TEXT, _PARAM_TEXT, _CONTEXT_TEXT = 300, 160, 4_000  # characters
_ENUM_MEMBERS = 20


def request_text(request: PlanRequest) -> str:
    """The user message: everything that this request adds to the instructions."""
    tools = "\n".join(signature(tool) for tool in request.tools)
    secrets = ", ".join(f"{{{{secrets.{name}}}}}" for name in request.secret_names)
    return load_prompt(REQUEST).fill(
        instruction=f"{request.instruction.strip()}\n\n" if request.instruction.strip() else "",
        tools=tools or "(none: answer with one reply)",
        secrets=f"\nSecrets that may stand in arguments: {secrets}\n" if secrets else "",
        context=f"\nKnown values of this session: {_context(request.context_vars)}\n" if request.context_vars else "",
        now=request.run_started_at.isoformat(),
        prompt=request.prompt,
    )


def functions_text() -> str:
    return ", ".join(f"`{function.signature}`" for function in FUNCTIONS.values())


def signature(tool: Tool) -> str:
    """A tool in a few lines: name and effect, what it does, its parameters, its first output fields."""
    said = tool.description if tool.description.startswith(tool.summary) else f"{tool.summary}. {tool.description}"
    about = _short(said, _TOOL_TEXT)
    lines = [f"- {tool.name} [{tool.risk.value}]: {about}".rstrip(": ")]
    lines += [f"    {_param(param)}" for param in tool.params]
    fields = ", ".join(f"{_path(field.path)}: {field.type}" for field in tool.outputs[:OUTPUT_FIELDS])
    lines += [f"    → {fields}"] if fields else []
    return "\n".join(lines)


def _param(param: ToolParam) -> str:
    needed = "required" if param.required else "optional"
    described = f" — {_short(param.description, _PARAM_TEXT)}" if param.description.strip() else ""
    return f"{param.name}: {schema_text(param.schema_)}, {needed}{described}"


def schema_text(schema: JsonObject) -> str:
    """A parameter's type as one word or a few: `string`, `integer`, `array of string`, `"a" | "b"`."""
    members = schema.get("enum")
    if isinstance(members, list) and members:
        shown = " | ".join(json.dumps(member, ensure_ascii=False) for member in members[:_ENUM_MEMBERS])
        return f"{shown} | …" if len(members) > _ENUM_MEMBERS else shown
    kind = schema.get("type", "any")
    text = "|".join(map(str, kind)) if isinstance(kind, list) else str(kind)
    items = schema.get("items")
    if text == "array" and isinstance(items, dict) and items:
        return f"array of {schema_text(items)}"
    form = schema.get("format")
    return f"{text} ({form})" if isinstance(form, str) else text


def _path(path: Iterable[str]) -> str:
    text = ""
    for part in path:
        text += "[]" if part == "*" else f".{part}" if text else part
    return text


def _context(variables: JsonObject) -> str:
    return _short(json.dumps(variables, ensure_ascii=False), _CONTEXT_TEXT)


def _short(text: str, limit: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"

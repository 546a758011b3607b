"""The JSON Schema of the structured spelling, shaped by hand for strict `response_format` and for grammars.

OpenAI's strict mode (platform.openai.com/docs/guides/structured-outputs) and llama.cpp's grammar converter share a
small dialect: every property required and every object closed, `anyOf` but no `oneOf`, no recursion, no annotations
that some vendor refuses. Optional things are nullable. Blocks are lists of node ids and expressions are strings, so
nothing nests. Property order is the order of generation: `id` and `kind` come first, so that a grammar commits to a
node's shape early.
"""

from models.base import JsonObject, JsonValue
from models.plans import OnError, SlotType

SCHEMA_NAME = "plan"


def wire_schema() -> JsonObject:
    """A fresh copy of the schema."""
    return _object(
        slots=_list(
            _object(
                variable=_STRING,
                prompt=_STRING,
                type={"type": "string", "enum": [kind.value for kind in SlotType]},
                options=_nullable(_list({"anyOf": [_STRING, {"type": "number"}, {"type": "boolean"}]})),
            )
        ),
        nodes=_list({"anyOf": [_node(kind, **fields) for kind, fields in node_fields().items()]}),
        body=_IDS,
    )


def response_format() -> JsonObject:
    """The schema in the envelope of OpenAI-compatible servers."""
    return {
        "type": "json_schema",
        "json_schema": {"name": SCHEMA_NAME, "strict": True, "schema": wire_schema()},
    }


def node_fields() -> dict[str, dict[str, JsonObject]]:
    """Fields of each node kind, `id` and `kind` left out."""
    on_error: JsonObject = {"type": "string", "enum": [policy.value for policy in OnError]}
    return {
        "assignment": {"target": _STRING, "expr": _STRING},
        "call": {
            "target": _nullable(_STRING),
            "tool": _STRING,
            "args": _list(_object(name=_STRING, expr=_STRING)),
            "on_error": _nullable(on_error),
        },
        "if": {"expr": _STRING, "then": _IDS, "else": _nullable(_IDS)},
        "for": {"variable": _STRING, "expr": _STRING, "body": _IDS},
        "reply": {"expr": _STRING},
        "fail": {"expr": _STRING},
    }


def _object(**properties: JsonObject) -> JsonObject:
    required: list[JsonValue] = list(properties)
    return {"type": "object", "properties": {**properties}, "required": required, "additionalProperties": False}


def _node(kind: str, **fields: JsonObject) -> JsonObject:
    return _object(id=_STRING, kind={"type": "string", "enum": [kind]}, **fields)


def _list(items: JsonObject) -> JsonObject:
    return {"type": "array", "items": items}


def _nullable(schema: JsonObject) -> JsonObject:
    return {"anyOf": [schema, {"type": "null"}]}


_STRING: JsonObject = {"type": "string"}
_IDS: JsonObject = _list(_STRING)

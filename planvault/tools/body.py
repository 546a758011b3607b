"""Flat body arguments → the body's value, exactly reversing `planvault.ingestion.flatten`. Pure."""

from collections.abc import Mapping, Sequence
from enum import Enum

from models.base import JsonObject, JsonValue
from models.tools import HttpBinding, ParamLocation, ToolParam


class Missing(Enum):
    """No body at all, which is not the same as the body `null`."""

    MISSING = "missing"


MISSING = Missing.MISSING


def assemble(binding: HttpBinding, params: Sequence[ToolParam], args: Mapping[str, JsonValue]) -> JsonValue | Missing:
    """The body's JSON value, or MISSING when none of it is given and none is required.

    An object exists when a value inside it is given, when the body is required (the root), or when it is in
    `required_objects` and its parent exists.
    """
    given = [param for param in params if param.location is ParamLocation.BODY and param.name in args]
    whole = next((param for param in given if not param.body_path), None)
    if whole is not None:
        return args[whole.name]
    if not given and not binding.body_required:
        return MISSING
    if not given and any(param.location is ParamLocation.BODY and not param.body_path for param in params):
        return MISSING  # the whole body is one parameter, and it is not there: the caller checks what is required
    root: JsonObject = {}
    for param in given:
        _place(root, param.body_path, args[param.name])
    for path in sorted(binding.required_objects, key=len):
        parent = _find(root, path[:-1])
        if parent is not None:
            parent.setdefault(path[-1], {})
    return root


def _place(root: JsonObject, path: tuple[str, ...], value: JsonValue) -> None:
    node = root
    for key in path[:-1]:
        child = node.setdefault(key, {})
        if not isinstance(child, dict):
            raise ValueError(f"{'.'.join(path)} is given twice")
        node = child
    node[path[-1]] = value


def _find(root: JsonObject, path: tuple[str, ...]) -> JsonObject | None:
    node: JsonValue = root
    for key in path:
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else None

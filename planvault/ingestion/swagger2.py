"""Swagger 2.0 operations in the shape of OpenAPI 3.0, so that everything behind reads one form.

Only the shape of operations changes. Schemas stay where they are, and references keep pointing into the document as
it was written (`#/definitions/…`), which the Resolver looks up.
"""

from collections.abc import Sequence

from models.base import JsonObject, JsonValue
from planvault.ingestion.dereference import RefProblem, Resolver

_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"

# collectionFormat → style, explode. `tabDelimited` is ours: OpenAPI 3 dropped it, services did not.
_COLLECTION: dict[str, tuple[str, bool]] = {
    "csv": ("form", False),
    "ssv": ("spaceDelimited", False),
    "tsv": ("tabDelimited", False),
    "pipes": ("pipeDelimited", False),
    "multi": ("form", True),
}
_NOT_SCHEMA = frozenset({"name", "in", "required", "collectionFormat", "allowEmptyValue", "description"})


def convert_operation(
    document: JsonObject, operation: JsonObject, parameters: Sequence[JsonObject], resolver: Resolver
) -> JsonObject:
    """The operation as OpenAPI 3.0. `parameters` are resolved, path-level ones included."""
    plain: list[JsonValue] = []
    form: list[JsonObject] = []
    body: JsonObject | None = None
    for parameter in parameters:
        match parameter.get("in"):
            case "body":
                body = parameter
            case "formData":
                form.append(parameter)
            case _:
                plain.append(_parameter(parameter))
    kept = {key: value for key, value in operation.items() if key not in {"consumes", "produces", "schemes"}}
    converted: JsonObject = {**kept, "parameters": plain, "responses": _responses(document, operation, resolver)}
    consumes = _media_types(document, operation, "consumes")
    if form:
        converted["requestBody"] = _form_body(form, consumes)
    elif body is not None:
        converted["requestBody"] = _body(body, consumes)
    return converted


def server_of(document: JsonObject) -> str:
    """`schemes`, `host` and `basePath` as one URL; without a host the path alone: it stands where the document does."""
    base = document.get("basePath")
    path = base if isinstance(base, str) and base != "/" else ""
    host = document.get("host")
    if not isinstance(host, str) or not host:
        return path
    schemes = document.get("schemes")
    offered = [scheme for scheme in schemes if scheme in {"http", "https"}] if isinstance(schemes, list) else []
    scheme = "https" if "https" in offered or not offered else "http"
    return f"{scheme}://{host}{path}"


def _parameter(parameter: JsonObject) -> JsonObject:
    converted: JsonObject = {
        key: parameter[key] for key in ("name", "in", "required", "description") if key in parameter
    }
    converted["schema"] = _inline_schema(parameter)
    if parameter.get("type") == "array":
        style, explode = _COLLECTION.get(str(parameter.get("collectionFormat", "csv")), ("form", False))
        if style == "form" and parameter.get("in") in {"path", "header"}:
            style = "simple"
        converted["style"], converted["explode"] = style, explode
    return converted


def _inline_schema(parameter: JsonObject) -> JsonObject:
    schema = {key: value for key, value in parameter.items() if key not in _NOT_SCHEMA and not key.startswith("x-")}
    if schema.get("type") == "file":
        return {**schema, "type": "string", "format": "binary"}
    return schema


def _body(parameter: JsonObject, consumes: Sequence[str]) -> JsonObject:
    schema = parameter.get("schema", {})
    media: JsonObject = {media_type: {"schema": schema} for media_type in consumes or ("application/json",)}
    return {"required": parameter.get("required") is True, "content": media}


def _form_body(parameters: Sequence[JsonObject], consumes: Sequence[str]) -> JsonObject:
    has_file = any(parameter.get("type") == "file" for parameter in parameters)
    media_type = _MULTIPART if has_file or (_MULTIPART in consumes and _FORM not in consumes) else _FORM
    properties: JsonObject = {}
    encoding: JsonObject = {}
    required: list[JsonValue] = []
    for parameter in parameters:
        name = str(parameter.get("name", ""))
        properties[name] = {**_inline_schema(parameter), "description": str(parameter.get("description", ""))}
        if parameter.get("required") is True:
            required.append(name)
        if parameter.get("type") == "array":
            style, explode = _COLLECTION.get(str(parameter.get("collectionFormat", "csv")), ("form", False))
            encoding[name] = {"style": style, "explode": explode}
    schema: JsonObject = {"type": "object", "properties": properties, "required": required}
    return {
        "required": bool(required),
        "content": {media_type: {"schema": schema, **({"encoding": encoding} if encoding else {})}},
    }


def _responses(document: JsonObject, operation: JsonObject, resolver: Resolver) -> JsonObject:
    produces = _media_types(document, operation, "produces") or ["application/json"]
    stated = operation.get("responses")
    converted: JsonObject = {}
    for status, raw in stated.items() if isinstance(stated, dict) else ():
        try:
            response, _ = resolver.follow(raw)
        except RefProblem:
            converted[status] = raw  # reported where responses are read
            continue
        content: JsonObject = {}
        if "schema" in response:
            content = {media_type: {"schema": response["schema"]} for media_type in produces}
        converted[status] = {"description": response.get("description", ""), "content": content}
    return converted


def _media_types(document: JsonObject, operation: JsonObject, key: str) -> list[str]:
    stated = operation.get(key, document.get(key))
    return [item for item in stated if isinstance(item, str)] if isinstance(stated, list) else []

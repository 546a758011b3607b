"""One operation → one tool draft."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.base import JsonObject, JsonValue
from models.tools import HttpBinding, Idempotency, OutputField
from planvault.ingestion import swagger2
from planvault.ingestion.dereference import RefProblem, Resolver
from planvault.ingestion.drafts import ToolDraft
from planvault.ingestion.flatten import MAX_DEPTH, FlatBody, Flattener
from planvault.ingestion.media import FORM, MULTIPART, base_type, best, form_encoding, is_json
from planvault.ingestion.naming import operation_name, tool_name
from planvault.ingestion.outputs import SCHEMA_NODES, output_fields
from planvault.ingestion.parameters import (
    CredentialParams,
    Unimportable,
    body_params,
    named_apart,
    resolve_parameters,
    text,
    wire_params,
    without_query_templates,
)
from planvault.ingestion.schemas import Direction, SchemaCutter
from planvault.policy import risk

_MAX_SUMMARY = 200
_MAX_DESCRIPTION = 2_000
_MAX_PROBLEMS = 20
_IDEMPOTENCY_HEADERS = frozenset({"idempotency-key", "x-idempotency-key"})


@dataclass(frozen=True, slots=True)
class Source:
    """Where operations come from: the document, and what holds for all of them."""

    document: JsonObject
    resolver: Resolver
    is_swagger: bool
    credentials: CredentialParams


@dataclass(frozen=True, slots=True)
class _Body:
    content_type: str
    required: bool
    flat: FlatBody
    encoding: dict[str, JsonObject]
    name: str


def draft(source: Source, method: str, path: str, item: JsonObject, operation: JsonObject) -> ToolDraft:
    """Raises Unimportable where a call could not be made right; lesser losses are the draft's problems."""
    problems: list[str] = []
    cutter = SchemaCutter(source.resolver, problems)
    parameters = resolve_parameters([item.get("parameters"), operation.get("parameters")], source.resolver)
    operation_id = operation.get("operationId")
    name = operation_id if isinstance(operation_id, str) and operation_id.strip() else operation_name(method, path)
    key_header = _idempotency_header(method, operation, parameters)
    whole_name = next((str(found["name"]) for found in parameters if found["in"] == "body"), "body")
    if source.is_swagger:
        operation = swagger2.convert_operation(source.document, operation, parameters, source.resolver)
        parameters = resolve_parameters([operation["parameters"]], source.resolver)
    wire_path = path.partition("#")[0]
    params = wire_params(wire_path, parameters, source.credentials, cutter, problems)
    body = _body(source, operation, cutter, whole_name, problems)
    if body is not None:
        params = [*params, *body_params(body.flat.leaves, body.name)]
    accept, outputs = _result(source, operation, cutter, problems)
    if "servers" in operation or "servers" in item:
        problems.append("The operation names a server of its own; the integration's base URL is used instead.")
    idempotency = risk.idempotency_of(method, operation)
    if key_header and idempotency is Idempotency.NONE:
        idempotency = Idempotency.KEYED
    return ToolDraft(
        operation=f"{method} {path}",
        name=tool_name(name, "operation"),
        tag=_tag(operation),
        summary=text(operation.get("summary"))[:_MAX_SUMMARY],
        description=_description(operation),
        params=named_apart(params),
        outputs=outputs,
        binding=HttpBinding(
            method=method,
            path=f"/{without_query_templates(wire_path).removeprefix('/')}",
            content_type=body.content_type if body else None,
            body_required=body.required if body else False,
            required_objects=body.flat.required_objects if body else (),
            form_encoding=body.encoding if body else {},
            accept=accept,
            idempotency_header=key_header if idempotency is Idempotency.KEYED else None,
        ),
        risk=risk.classify(method, f"{name} {path} {text(operation.get('summary'))}", operation),
        idempotency=idempotency,
        approval_policy=risk.approval_of(operation),
        timeout_s=risk.timeout_of(operation),
        deprecated=operation.get("deprecated") is True,
        problems=tuple(dict.fromkeys(problems))[:_MAX_PROBLEMS],
    )


def _body(source: Source, operation: JsonObject, cutter: SchemaCutter, name: str, problems: list[str]) -> _Body | None:
    raw = operation.get("requestBody")
    if raw is None:
        return None
    try:
        request_body, _ = source.resolver.follow(raw)
        chosen = best(request_body.get("content"))
        if chosen is None:
            return None
        content_type, entry = chosen
        required = request_body.get("required") is True
        is_form = base_type(content_type) in {FORM, MULTIPART}
        # Form encodings have no nesting of their own: a property that is an object stays one parameter.
        depth = 1 if is_form else MAX_DEPTH if is_json(content_type) else 0
        flattener = Flattener(source.resolver, cutter)
        flat = flattener.flatten(entry.get("schema", {}), required=required, max_depth=depth)
    except RefProblem as problem:
        raise Unimportable(f"The request body cannot be read: {problem}") from None
    if not is_form and not is_json(content_type) and not base_type(content_type).startswith("text/"):
        problems.append(f"A body of type {content_type[:60]} is sent as text.")
    return _Body(content_type, required, flat, form_encoding(entry) if is_form else {}, name)


def _result(
    source: Source, operation: JsonObject, cutter: SchemaCutter, problems: list[str]
) -> tuple[str, tuple[OutputField, ...]]:
    """The media type to accept and the result's fields, from the first success response with content."""
    accept = "application/json"
    for raw in _successes(operation.get("responses")):
        try:
            response, _ = source.resolver.follow(raw)
        except RefProblem as problem:
            problems.append(f"A response cannot be read: {problem}")
            continue
        chosen = best(response.get("content"))
        if chosen is None:
            continue
        accept, entry = chosen
        if not is_json(accept):
            return (accept if "/" in accept and accept.isascii() else "*/*"), ()
        return accept, output_fields(cutter.cut(entry.get("schema", {}), Direction.OUTPUT, nodes=SCHEMA_NODES))
    return accept, ()


def _successes(responses: JsonValue) -> Sequence[JsonValue]:
    if not isinstance(responses, dict):
        return ()
    found = sorted(
        status for status in responses if status.upper() == "2XX" or (status[:1] == "2" and len(status) == 3)
    )
    return [responses[status] for status in found] or [responses[key] for key in ("default",) if key in responses]


def _idempotency_header(method: str, operation: JsonObject, parameters: Sequence[JsonObject]) -> str | None:
    """The header by which the service promises one effect a key, where the document states it."""
    stated = risk.idempotency_header_of(operation)
    if stated or method in {"GET", "HEAD", "OPTIONS"}:
        return stated
    documented = (
        str(found["name"])
        for found in parameters
        if found["in"] == "header" and str(found["name"]).lower() in _IDEMPOTENCY_HEADERS
    )
    declared = risk.idempotency_of(method, operation) is Idempotency.KEYED
    return next(documented, risk.IDEMPOTENCY_HEADER if declared else None)


def _tag(operation: JsonObject) -> str | None:
    tags = operation.get("tags")
    first = tags[0] if isinstance(tags, list) and tags else None
    return first.strip()[:80] or None if isinstance(first, str) else None


def _description(operation: JsonObject) -> str:
    stated = operation.get("description")
    return stated.strip()[:_MAX_DESCRIPTION] if isinstance(stated, str) else ""

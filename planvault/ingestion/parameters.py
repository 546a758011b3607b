"""An operation's parameters and body → flat, uniquely named tool parameters."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from models.base import JsonObject, JsonValue
from models.tools import ParamLocation, ToolParam
from planvault.ingestion.dereference import RefProblem, Resolver
from planvault.ingestion.flatten import Leaf
from planvault.ingestion.media import best
from planvault.ingestion.naming import identifier, unique
from planvault.ingestion.schemas import Direction, SchemaCutter

MAX_PARAMETERS = 200
_ORDER = (ParamLocation.PATH, ParamLocation.QUERY, ParamLocation.HEADER, ParamLocation.COOKIE)
_TEMPLATE = re.compile(r"\{([^{}/]+)\}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_MAX_TEXT = 600

# Set by the client, or carrying credentials: never for a plan to choose.
_OWN_HEADERS = frozenset(
    {
        *("accept", "content-type", "authorization", "proxy-authorization", "cookie", "host", "content-length"),
        *("connection", "transfer-encoding", "te", "trailer", "upgrade", "expect", "keep-alive", "accept-encoding"),
        *("idempotency-key", "x-idempotency-key", "user-agent"),
    }
)
_STYLES = frozenset(
    {"simple", "label", "matrix", "form", "spaceDelimited", "pipeDelimited", "tabDelimited", "deepObject"}
)


class Unimportable(Exception):
    """The operation cannot become a tool. The message is for its report."""


@dataclass(frozen=True, slots=True)
class CredentialParams:
    """Parameters that carry credentials: (location, lower-case name). They are set per project, not by plans."""

    names: frozenset[tuple[str, str]] = frozenset()

    def __contains__(self, parameter: tuple[str, str]) -> bool:
        return (parameter[0], parameter[1].lower()) in self.names


def resolve_parameters(groups: Sequence[JsonValue], resolver: Resolver) -> list[JsonObject]:
    """Path-level parameters overridden by the operation's own, which come last. Raises Unimportable."""
    found: dict[tuple[str, str], JsonObject] = {}
    for group in groups:
        if group is None:
            continue
        if not isinstance(group, list):
            raise Unimportable("`parameters` is no list.")
        for raw in group[: MAX_PARAMETERS + 1]:
            try:
                parameter, _ = resolver.follow(raw)
            except RefProblem as problem:
                raise Unimportable(f"A parameter cannot be read: {problem}") from None
            name, place = parameter.get("name"), parameter.get("in")
            if not isinstance(name, str) or not isinstance(place, str) or not name:
                raise Unimportable("A parameter has no `name` or no `in`.")
            found[(place, name)] = parameter
    if len(found) > MAX_PARAMETERS:
        raise Unimportable(f"The operation has more than {MAX_PARAMETERS} parameters.")
    return list(found.values())


def wire_params(
    path: str,
    parameters: Sequence[JsonObject],
    credentials: CredentialParams,
    cutter: SchemaCutter,
    problems: list[str],
) -> list[ToolParam]:
    """Path, query, header and cookie parameters in that order, not yet named apart. Raises Unimportable."""
    templates = _TEMPLATE.findall(path.partition("?")[0])
    in_query = dict(_query_templates(path))
    params = []
    for parameter in parameters:
        name, place = str(parameter["name"]), str(parameter["in"])
        if place not in {location.value for location in _ORDER}:
            if place not in {"body", "formData"}:
                problems.append(f"Parameter `{name}` is at an unknown place, `{place}`, and is left out.")
            continue
        if place == "header" and (name.lower() in _OWN_HEADERS or not _HEADER_NAME.fullmatch(name)):
            continue
        if place == "path" and name in in_query:
            parameter, place = {**parameter, "name": in_query[name], "in": "query"}, "query"
        elif place == "path" and name not in templates:
            problems.append(f"Path parameter `{name}` is not in the path and is left out.")
            continue
        if (place, name) not in credentials:
            params.append(_param(parameter, ParamLocation(place), cutter))
    declared = {param.wire_name for param in params if param.location is ParamLocation.PATH}
    for name in dict.fromkeys(templates):
        if name not in declared:
            problems.append(f"Path parameter `{name}` is not declared; it is taken as a string.")
            params.append(_param({"name": name, "schema": {"type": "string"}}, ParamLocation.PATH, cutter))
    return sorted(params, key=lambda param: _ORDER.index(param.location))


def without_query_templates(path: str) -> str:
    """`/a?x=1&y={z}` → `/a?x=1`; `z` is a query parameter, wherever the document says it is."""
    route, _, query = path.partition("?")
    fixed = [piece for piece in query.split("&") if piece and not _TEMPLATE.search(piece)]
    return f"{route}?{'&'.join(fixed)}" if fixed else route


def _query_templates(path: str) -> Iterator[tuple[str, str]]:
    """Template name → query parameter's name, of `…?name={template}`."""
    for piece in path.partition("?")[2].split("&"):
        key, _, value = piece.partition("=")
        template = _TEMPLATE.fullmatch(value) or _TEMPLATE.fullmatch(piece)
        if template:
            yield template[1], key if "{" not in key else template[1]


def _param(parameter: JsonObject, location: ParamLocation, cutter: SchemaCutter) -> ToolParam:
    content = best(parameter.get("content"))
    content_type, entry = content if content and "schema" not in parameter else (None, parameter)
    schema = cutter.cut(entry.get("schema", {}), Direction.INPUT)
    style, explode = parameter.get("style"), parameter.get("explode")
    return ToolParam(
        name=str(parameter["name"]),
        location=location,
        wire_name=str(parameter["name"]),
        schema_=schema,
        required=location is ParamLocation.PATH or parameter.get("required") is True,
        description=text(parameter.get("description") or schema.get("description")),
        style=style if isinstance(style, str) and style in _STYLES else None,
        explode=explode if isinstance(explode, bool) else None,
        allow_reserved=parameter.get("allowReserved") is True,
        content_type=content_type,
    )


def body_params(leaves: Sequence[Leaf], whole_name: str) -> list[ToolParam]:
    """`whole_name` names the parameter of a body that stays one value."""
    return [
        ToolParam(
            name="_".join(leaf.path) if leaf.path else whole_name,
            location=ParamLocation.BODY,
            body_path=leaf.path,
            schema_=leaf.schema,
            required=leaf.required,
            description=text(leaf.description),
        )
        for leaf in leaves
    ]


def named_apart(params: Sequence[ToolParam], reserved: Collection[str] = ()) -> tuple[ToolParam, ...]:
    """Identifiers, unique: who comes first keeps its name, a later `id` of the body becomes `body_id`, then `_2`.

    Shallow body values come before deep ones, so `customer_id` beats the joined name of `customer.id`.
    """
    taken: set[str] = set(reserved)
    result = []
    for param in params:
        name = identifier(param.name, "param")
        if name in taken:
            name = identifier(f"{param.location.value}_{param.name}", "param")
        name = unique(name, taken)
        taken.add(name)
        result.append(param.model_copy(update={"name": name}))
    return tuple(result)


def text(value: JsonValue) -> str:
    return value.strip()[:_MAX_TEXT] if isinstance(value, str) else ""

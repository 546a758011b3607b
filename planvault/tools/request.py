"""Arguments → one HTTP request, exactly reversing `planvault.ingestion`. Pure; secrets are already values here.

No message of this module holds a value: an argument may be, or contain, a secret.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.base import JsonObject, JsonValue
from models.tools import HttpBinding, ParamLocation, ToolParam
from planvault.tools.body import Missing, assemble
from planvault.tools.encodings import encode_body, json_text
from planvault.tools.styles import Pair, Unserializable, cookie_pairs, encode, header_value, path_value, query_pairs

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_FIELD = re.compile(r"[\t\x20-\x7e]*")
_TEMPLATE = re.compile(r"\{([^{}/]+)\}")
_BASE_URL = re.compile(r"https?://[^\s/?#{}@]+(/[^\s?#{}]*)?")
FRAMING = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"})


class InvalidArguments(Exception):
    """No request can be made of these arguments. The message names parameters, never values."""


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    method: str
    url: str
    headers: tuple[Pair, ...]
    content: bytes | None


def build_request(
    binding: HttpBinding,
    params: Sequence[ToolParam],
    args: Mapping[str, JsonValue],
    base_url: str,
    *,
    auth: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
) -> PreparedRequest:
    """The request of one call. Raises InvalidArguments.

    `auth`: the integration's credentials by header name; a name that begins with `?` is a query parameter (API keys
    in the query exist), `Cookie` joins the cookies. `idempotency_key` is sent in the binding's header where it has one.
    """
    given = _checked(params, args)
    query, headers, cookies = _credentials(auth or {})
    path, fixed_query = _path(binding, params, given)
    wire_headers = _headers(params, given)
    all_cookies = [*_cookies(params, given), *cookies]
    pairs = [*_query(params, given), *query]
    encoded = _body(binding, params, given)
    fields = {"Accept": binding.accept}
    if encoded is not None:
        fields["Content-Type"] = encoded[1]
    if binding.idempotency_header and idempotency_key:
        fields[binding.idempotency_header] = idempotency_key
    if all_cookies:
        fields["Cookie"] = "; ".join(all_cookies)
    # Credentials come last and win: no argument can stand in for them.
    merged = {name.lower(): (name, value) for name, value in [*wire_headers, *fields.items(), *headers]}
    search = "&".join([part for part in (fixed_query,) if part] + [f"{key}={value}" for key, value in pairs])
    return PreparedRequest(
        method=binding.method,
        url=f"{_base(base_url)}{path}{'?' if search else ''}{search}",
        headers=tuple((name, _field(name, value)) for name, value in merged.values()),
        content=encoded[0] if encoded is not None else None,
    )


def _checked(params: Sequence[ToolParam], args: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The arguments that travel. A null is a value only in a body whose schema allows it; elsewhere it is absence."""
    known = {param.name: param for param in params}
    unknown = sorted(args.keys() - known.keys())
    if unknown:
        raise InvalidArguments(f"The tool has no parameter {', '.join(unknown[:5])}.")
    given = {name: value for name, value in args.items() if value is not None or _takes_null(known[name])}
    missing = [param.name for param in params if param.required and param.name not in given]
    if missing:
        raise InvalidArguments(f"A value is required for {', '.join(missing[:5])}.")
    return given


def _takes_null(param: ToolParam) -> bool:
    if param.location is not ParamLocation.BODY:
        return False
    schema = param.schema_
    types, enum = schema.get("type"), schema.get("enum")
    if isinstance(enum, list):
        return None in enum
    if types is None:
        return not any(key in schema for key in ("properties", "items", "const"))
    return "null" in types if isinstance(types, list) else types == "null"


def _base(base_url: str) -> str:
    if not _BASE_URL.fullmatch(base_url):
        raise InvalidArguments("The integration has no usable base URL; set an absolute http or https URL for it.")
    return base_url.rstrip("/")


def _path(binding: HttpBinding, params: Sequence[ToolParam], given: Mapping[str, JsonValue]) -> tuple[str, str]:
    by_name = {param.wire_name: param for param in params if param.location is ParamLocation.PATH}

    def substitute(match: re.Match[str]) -> str:
        param = by_name.get(match[1])
        if param is None or param.name not in given:
            raise InvalidArguments(f"A value is required for the path's {match[1]}.")
        with _naming(param):
            value = given[param.name]
            return path_value(match[1], _content(param, value), param.style, param.explode)

    template, _, fixed_query = binding.path.partition("?")
    segments = []
    for segment in template.split("/"):
        filled = _TEMPLATE.sub(substitute, segment)
        if filled != segment and filled in {".", ".."}:
            raise InvalidArguments("A path parameter would make its segment `.` or `..`.")
        # The template's own characters are the document's: what is no URL character is encoded, not trusted.
        segments.append(re.sub(r"[^A-Za-z0-9._~!$&'()*+,;=:@%-]", lambda match: encode(match[0]), filled))
    return "/".join(segments), re.sub(r"[^A-Za-z0-9._~!$&'()*+,;=:@%/?-]", lambda match: encode(match[0]), fixed_query)


def _query(params: Sequence[ToolParam], given: Mapping[str, JsonValue]) -> list[Pair]:
    pairs: list[Pair] = []
    for param in _at(ParamLocation.QUERY, params, given):
        with _naming(param):
            value = _content(param, given[param.name])
            pairs.extend(
                query_pairs(param.wire_name, value, param.style, param.explode, allow_reserved=param.allow_reserved)
            )
    return pairs


def _headers(params: Sequence[ToolParam], given: Mapping[str, JsonValue]) -> list[Pair]:
    found = []
    for param in _at(ParamLocation.HEADER, params, given):
        if not _TOKEN.fullmatch(param.wire_name) or param.wire_name.lower() in FRAMING:
            raise InvalidArguments(f"The header of {param.name} cannot be set.")
        with _naming(param):
            found.append((param.wire_name, header_value(_content(param, given[param.name]), param.explode)))
    return found


def _cookies(params: Sequence[ToolParam], given: Mapping[str, JsonValue]) -> list[str]:
    found: list[str] = []
    for param in _at(ParamLocation.COOKIE, params, given):
        with _naming(param):
            value = _content(param, given[param.name])
            found.extend(f"{key}={text}" for key, text in cookie_pairs(param.wire_name, value, param.explode))
    return found


def _at(location: ParamLocation, params: Sequence[ToolParam], given: Mapping[str, JsonValue]) -> list[ToolParam]:
    return [param for param in params if param.location is location and param.name in given]


def _content(param: ToolParam, value: JsonValue) -> JsonValue:
    """A parameter with a media type travels as that type's text."""
    if param.content_type is None or (isinstance(value, str) and "json" not in param.content_type):
        return value
    return json_text(value)


def _body(
    binding: HttpBinding, params: Sequence[ToolParam], given: Mapping[str, JsonValue]
) -> tuple[bytes, str] | None:
    if binding.content_type is None:
        return None
    try:
        value = assemble(binding, params, given)
        if isinstance(value, Missing):
            return None
        schemas: dict[str, JsonObject] = {
            param.body_path[0]: param.schema_ for param in params if len(param.body_path) == 1
        }
        encoded = encode_body(value, binding.content_type, binding.form_encoding, schemas)
    except Unserializable as problem:
        raise InvalidArguments(f"The body cannot be sent as {binding.content_type}: {problem}.") from None
    return encoded.content, encoded.content_type


def _credentials(auth: Mapping[str, str]) -> tuple[list[Pair], list[Pair], list[str]]:
    """Query pairs, headers, cookies."""
    query: list[Pair] = []
    headers: list[Pair] = []
    cookies: list[str] = []
    for name, value in auth.items():
        if name.startswith("?"):
            query.append((encode(name[1:]), encode(value)))
        elif name.lower() == "cookie":
            cookies.append(value)
        elif not _TOKEN.fullmatch(name) or name.lower() in FRAMING:
            raise InvalidArguments("The integration's auth names a header that cannot be set.")
        else:
            headers.append((name, value))
    return query, headers, cookies


def _field(name: str, value: str) -> str:
    """A header field's value (RFC 9110 §5.5): visible ASCII, blanks and tabs. A line break would start a new field."""
    if not _FIELD.fullmatch(value):
        raise InvalidArguments(
            f"The value of header {name} holds a line break or another character headers cannot hold."
        )
    return value.strip()


class _naming:  # noqa: N801 - reads as a statement: with _naming(param): …
    """Turns Unserializable into InvalidArguments that names the parameter."""

    def __init__(self, param: ToolParam) -> None:
        self._param = param

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Unserializable):
            raise InvalidArguments(f"The value of {self._param.name} cannot be sent: {error}.") from None

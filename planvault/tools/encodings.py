"""Request bodies as bytes: JSON, form, multipart, text. Pure: the multipart boundary comes from the content."""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from models.base import JsonObject, JsonValue
from planvault.tools.styles import Unserializable, plain, query_pairs

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Encoded:
    content: bytes
    content_type: str


def encode_body(
    value: JsonValue, content_type: str, encoding: Mapping[str, JsonObject], schemas: Mapping[str, JsonObject]
) -> Encoded:
    """`encoding` and `schemas` are by top-level property; only forms read them. Raises Unserializable."""
    base = content_type.partition(";")[0].strip().lower()
    if base == FORM:
        return Encoded(_form(_object(value), encoding), content_type)
    if base == MULTIPART:
        return _multipart(_object(value), encoding, schemas)
    if base.endswith(("+json", "/json")):
        return Encoded(json_bytes(value), content_type)
    return Encoded(_utf8(value if isinstance(value, str) else json_text(value)), content_type)


def json_text(value: JsonValue) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (ValueError, TypeError, RecursionError):
        raise Unserializable("it has no JSON form") from None


def json_bytes(value: JsonValue) -> bytes:
    return _utf8(json_text(value))


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Unserializable("it holds characters that are no Unicode text") from None


def _object(value: JsonValue) -> JsonObject:
    if not isinstance(value, dict):
        raise Unserializable("a form body is an object")
    return value


def _form(value: JsonObject, encoding: Mapping[str, JsonObject]) -> bytes:
    """Each property as its `encoding` says, `form` with explode by default (OpenAPI 3.1 §4.8.15)."""
    pairs: list[tuple[str, str]] = []
    for name, item in value.items():
        if item is None:
            continue  # a form has no null
        rule = encoding.get(name, {})
        media_type = rule.get("contentType")
        if isinstance(item, list | dict) and isinstance(media_type, str) and "json" in media_type:
            item = json_text(item)
        elif _is_nested(item) and rule.get("style") != "deepObject":
            pairs.extend(query_pairs(name, item, "deepObject", True))
            continue
        style, explode = rule.get("style"), rule.get("explode")
        pairs.extend(
            query_pairs(
                name,
                item,
                style if isinstance(style, str) else None,
                explode if isinstance(explode, bool) else None,
                allow_reserved=False,
            )
        )
    return "&".join(f"{key}={text}" for key, text in pairs).encode("ascii")


def _is_nested(value: JsonValue) -> bool:
    """Whether a value is too deep for `form`, which knows lists and objects of scalars only."""
    items = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    return any(isinstance(item, list | dict) for item in items)


# ── multipart (RFC 7578) ─────────────────────────────────────────────────────────────────────────────────────────────


_JOINED = {"form": ",", "spaceDelimited": " ", "pipeDelimited": "|", "tabDelimited": "\t"}


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    content: bytes
    content_type: str
    is_file: bool


def _multipart(value: JsonObject, encoding: Mapping[str, JsonObject], schemas: Mapping[str, JsonObject]) -> Encoded:
    parts = [
        _part(name, item, encoding.get(name, {}), schemas.get(name, {}))
        for name, stated in value.items()
        for item in _part_values(stated, encoding.get(name, {}))
        if item is not None
    ]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part.content).to_bytes(8, "big") + part.content)
    # 128 bits of a hash of the contents: no content can be made to hold its own boundary.
    boundary = f"planvault-{digest.hexdigest()[:32]}"
    chunks = []
    for part in parts:
        disposition = f'form-data; name="{_quoted(part.name)}"'
        if part.is_file:
            disposition += f'; filename="{_quoted(part.name)}"'
        head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: {part.content_type}\r\n\r\n"
        chunks.append(head.encode() + part.content + b"\r\n")
    return Encoded(b"".join(chunks) + f"--{boundary}--\r\n".encode(), f"{MULTIPART}; boundary={boundary}")


def _part_values(value: JsonValue, rule: JsonObject) -> list[JsonValue]:
    """A list is a part for each item, but where its `encoding` joins it (Swagger's `csv`, `ssv`, `tsv`, `pipes`)."""
    if not isinstance(value, list):
        return [value]
    delimiter = _JOINED.get(str(rule.get("style"))) if rule.get("explode") is False else None
    return value if delimiter is None or _is_nested(value) else [delimiter.join(map(plain, value))]


def _part(name: str, value: JsonValue, rule: JsonObject, schema: JsonObject) -> _Part:
    stated = rule.get("contentType")
    media_type = stated.partition(",")[0].strip() if isinstance(stated, str) else ""
    if not all(32 <= ord(char) < 127 for char in media_type):
        media_type = ""
    items = schema.get("items")
    form = items if schema.get("type") == "array" and isinstance(items, dict) else schema
    if isinstance(value, list | dict):
        return _Part(name, json_bytes(value), media_type or "application/json", False)
    if form.get("format") in {"binary", "base64", "byte"} or "contentMediaType" in form:
        return _Part(name, _file(plain(value), form), media_type or "application/octet-stream", True)
    return _Part(name, _utf8(plain(value)), media_type or "text/plain; charset=utf-8", False)


def _file(text: str, schema: JsonObject) -> bytes:
    """A file's bytes: decoded where the schema says base64, else the text itself."""
    if schema.get("contentEncoding") != "base64" and schema.get("format") not in {"base64", "byte"}:
        return _utf8(text)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Unserializable("it is not base64") from None


def _quoted(name: str) -> str:
    """As browsers write it (WHATWG HTML, multipart/form-data encoding algorithm)."""
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")

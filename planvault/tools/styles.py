"""OpenAPI parameter styles (3.1 §4.8.12.2; RFC 6570). Pure.

Percent-encoding leaves RFC 3986's unreserved characters alone and encodes the rest, so that a value can never end a
path segment, start another query parameter or reach the fragment.
"""

import math
from collections.abc import Callable, Iterator
from urllib.parse import quote

from models.base import JsonValue

_DELIMITERS = {"form": ",", "spaceDelimited": "%20", "pipeDelimited": "%7C", "tabDelimited": "%09"}
# What `allowReserved` may leave as it is. `#`, `&`, `=`, `+` and `;` stay encoded: a value must not add parameters.
_RESERVED = ":/?@!$'()*,[]"

Pair = tuple[str, str]


class Unserializable(ValueError):
    """The value has no form at this place; the message says why, and holds nothing of the value."""


def encode(text: str, *, allow_reserved: bool = False) -> str:
    try:
        return quote(text, safe=_RESERVED if allow_reserved else "")
    except UnicodeEncodeError:
        raise Unserializable("it holds characters that are no Unicode text") from None


def plain(value: JsonValue) -> str:
    """A scalar's text: JSON's spelling of booleans and null, integers without a fraction."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int():
            return str(value)
        case float():
            if not math.isfinite(value):
                raise Unserializable("it is no finite number")
            return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
        case _:
            raise Unserializable("it is nested deeper than this place allows")


def path_value(name: str, value: JsonValue, style: str | None, explode: bool | None) -> str:
    """A path parameter, percent-encoded. `simple` by default, without explode. Raises Unserializable when empty."""
    style, exploded = style or "simple", explode is True
    parts = _items(value, encode)
    if not parts or parts == [""]:
        raise Unserializable("it is empty, which would address another resource")
    keyed = isinstance(value, dict)
    if style == "matrix":
        return _matrix(encode(name), value, exploded)
    if style == "label":
        separator = "." if exploded else ","
        return "." + separator.join(_joined(parts, "=" if exploded else ",") if keyed else parts)
    return ",".join(_joined(parts, "=" if exploded else ",") if keyed else parts)


def _matrix(name: str, value: JsonValue, exploded: bool) -> str:
    parts = _items(value, encode)
    if not exploded or not isinstance(value, list | dict):
        return f";{name}={','.join(parts)}"
    if isinstance(value, dict):
        return "".join(f";{pair}" for pair in _joined(parts, "="))
    return "".join(f";{name}={part}" for part in parts)


def header_value(value: JsonValue, explode: bool | None) -> str:
    """`simple`, not percent-encoded."""
    parts = _items(value, lambda text: text)
    return ",".join(_joined(parts, "=" if explode else ",") if isinstance(value, dict) else parts)


def query_pairs(
    name: str, value: JsonValue, style: str | None = None, explode: bool | None = None, *, allow_reserved: bool = False
) -> list[Pair]:
    """Percent-encoded name and value pairs. `form` by default, which explodes by default."""
    style = style or "form"
    exploded = explode if explode is not None else style == "form"

    def enc(text: str) -> str:
        return encode(text, allow_reserved=allow_reserved)

    if style == "deepObject" and isinstance(value, dict | list):
        return [(key, enc(text)) for key, text in _deep(encode(name), value)]
    if isinstance(value, list) and exploded:
        return [(encode(name), part) for part in _items(value, enc)]
    if isinstance(value, dict) and exploded:
        return [(encode(key), enc(plain(item))) for key, item in value.items()]
    return [(encode(name), _DELIMITERS.get(style, ",").join(_items(value, enc)))]


def cookie_pairs(name: str, value: JsonValue, explode: bool | None) -> list[Pair]:
    return query_pairs(name, value, "form", explode)


def _items(value: JsonValue, enc: Callable[[str], str]) -> list[str]:
    """The encoded texts of a scalar, of a list's items, or of an object's keys and values in turn."""
    if isinstance(value, list):
        return [enc(plain(item)) for item in value]
    if isinstance(value, dict):
        return [enc(text) for key, item in value.items() for text in (key, plain(item))]
    return [enc(plain(value))]


def _joined(parts: list[str], separator: str) -> list[str]:
    """[k1, v1, k2, v2] → [k1=v1, k2=v2]."""
    return [f"{key}{separator}{value}" for key, value in zip(parts[::2], parts[1::2], strict=True)]


def _deep(prefix: str, value: JsonValue) -> Iterator[Pair]:
    """`a[b]=1`, nested and with list positions as most services read it; the specification leaves those open."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _deep(f"{prefix}%5B{encode(key)}%5D", item)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _deep(f"{prefix}%5B{position}%5D", item)
    else:
        yield prefix, plain(value)

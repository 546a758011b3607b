"""Which of the media types on offer a tool speaks."""

from models.base import JsonObject, JsonValue

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
_ENCODING_KEYS = ("style", "explode", "contentType", "allowReserved")


def base_type(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    base = base_type(media_type)
    return base in {"application/json", "text/json"} or base.endswith("+json")


def _rank(media_type: str) -> int:
    base = base_type(media_type)
    if base in {"application/json", "*/*", "application/*"}:
        return 0
    if is_json(media_type):
        return 1
    order = {FORM: 2, MULTIPART: 3}
    return order.get(base, 4 if base.startswith("text/") else 5)


def best(content: JsonValue) -> tuple[str, JsonObject] | None:
    """The entry of an OpenAPI `content` map that we speak best; wildcards mean JSON. None for an empty map."""
    offered = [
        (media_type, entry if isinstance(entry, dict) else {})
        for media_type, entry in (content.items() if isinstance(content, dict) else ())
    ]
    if not offered:
        return None
    media_type, entry = min(offered, key=lambda pair: _rank(pair[0]))
    return ("application/json" if "*" in media_type else media_type.strip()), entry


def form_encoding(entry: JsonObject) -> dict[str, JsonObject]:
    """OpenAPI `encoding` by property, what request building reads of it."""
    stated = entry.get("encoding")
    if not isinstance(stated, dict):
        return {}
    kept = {
        name: {key: rule[key] for key in _ENCODING_KEYS if key in rule}
        for name, rule in stated.items()
        if isinstance(rule, dict)
    }
    return {name: rule for name, rule in kept.items() if rule}

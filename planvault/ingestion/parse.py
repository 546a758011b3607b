"""Text → document. JSON or YAML, of whoever wrote it: bounded in size, depth and expansion, and free of surprises.

YAML is read from libyaml's event stream instead of PyYAML's object construction: no tags are honoured, nothing
recurses, an alias counts as large as what it stands for, and scalars resolve by the YAML 1.2 core schema as far as
JSON goes: dates, `on`, `yes` and version numbers in keys stay strings.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

import orjson
import yaml

from models.base import JsonObject, JsonScalar, JsonValue
from planvault.errors import SpecRejected, TooLarge

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 200  # nesting of lists and mappings; real documents stay below 40
MAX_VALUES = 5_000_000  # with aliases expanded

_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,2})?")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class SpecVersion(StrEnum):
    SWAGGER_2_0 = "2.0"
    OPENAPI_3_0 = "3.0"
    OPENAPI_3_1 = "3.1"


@dataclass(frozen=True, slots=True)
class ParsedSpec:
    document: JsonObject
    version: SpecVersion
    sha256: str  # hex, of the text


def parse_spec(text: str) -> ParsedSpec:
    """The document in a text. Raises SpecRejected or TooLarge, saying why."""
    raw = text.encode("utf-8", errors="surrogatepass")
    if len(raw) > MAX_BYTES:
        raise TooLarge(f"The document has {len(raw):,} bytes; at most {MAX_BYTES:,} are read.")
    document = parse_text(text)
    if not isinstance(document, dict):
        raise SpecRejected("The document is not an object with `openapi` or `swagger` at its root.")
    return ParsedSpec(document, detect_version(document), hashlib.sha256(raw).hexdigest())


def parse_text(text: str) -> JsonValue:
    """JSON where the text looks like it, else YAML."""
    body = text.removeprefix("\ufeff").lstrip()
    if body.startswith(("{", "[")):
        try:
            # Postgres cannot store U+0000 in jsonb; no honest document has one.
            parsed: JsonValue = orjson.loads(_NUL.sub(r"\1\\ufffd", body) if "u0000" in body else body)
        except (orjson.JSONDecodeError, UnicodeEncodeError) as fault:
            raise SpecRejected(f"The document is not valid JSON: {fault}.") from None
        return parsed
    return _parse_yaml(body)


def detect_version(document: JsonObject) -> SpecVersion:
    """Raises SpecRejected for anything but Swagger 2.0 and OpenAPI 3.0, 3.1 (3.2 is read as 3.1)."""
    if "swagger" in document:
        stated = str(document["swagger"])
        if stated in {"2", "2.0"}:
            return SpecVersion.SWAGGER_2_0
        raise SpecRejected(f"Swagger {stated[:20]} is not supported; convert the document to OpenAPI 3.")
    stated = str(document.get("openapi", ""))
    if re.match(r"3(\.0|$)", stated):
        return SpecVersion.OPENAPI_3_0
    if re.match(r"3\.[12]", stated):
        return SpecVersion.OPENAPI_3_1
    if stated:
        raise SpecRejected(f"OpenAPI {stated[:20]} is not supported; 3.0 and 3.1 are.")
    raise SpecRejected("The document has neither `openapi` nor `swagger` at its root, so it is no API description.")


# ── YAML ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not been read."""

    value: "list[JsonValue] | dict[str, JsonValue]"
    anchor: str | None
    size: int = 1
    key: str | None = None  # a mapping's key that waits for its value


class _Builder:
    """Builds the JSON value of one YAML document from its events."""

    def __init__(self) -> None:
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[JsonValue, int]] = {}
        self._root: JsonValue = None

    @property
    def root(self) -> JsonValue:
        return self._root

    def feed(self, event: yaml.Event) -> None:
        match event:
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent():
                self._open(_Open({}, event.anchor))
            case yaml.SequenceStartEvent():
                self._open(_Open([], event.anchor))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                done = self._stack.pop()
                self._place(done.value, done.size, done.anchor)
            case yaml.AliasEvent():
                known = self._anchors.get(event.anchor or "")
                if known is None:
                    raise SpecRejected(f"The alias *{event.anchor} stands for nothing, or for itself.")
                self._place(*known, None)

    def _open(self, container: _Open) -> None:
        if len(self._stack) >= MAX_DEPTH:
            raise SpecRejected(f"The document nests deeper than {MAX_DEPTH} levels.")
        if self._expects_key():
            raise SpecRejected("The document has a list or mapping as a key.")
        self._stack.append(container)

    def _expects_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].value, dict) and self._stack[-1].key is None

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        text = event.value.replace("\x00", "\ufffd")
        if self._expects_key():
            self._stack[-1].key = text
            if event.anchor:
                self._anchors[event.anchor] = (text, 1)
            return
        plain = event.implicit[0] and not event.style
        self._place(_resolve(text) if plain else text, 1, event.anchor)

    def _place(self, value: JsonValue, size: int, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = (value, size)
        if not self._stack:
            self._root = value
            return
        parent = self._stack[-1]
        parent.size += size
        if parent.size > MAX_VALUES:
            raise SpecRejected(f"The document has more than {MAX_VALUES:,} values once its aliases are expanded.")
        if isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.key is None:
            parent.key = str(value)  # an alias in a key's place
        else:
            _set(parent.value, parent.key, value)
            parent.key = None


def _set(mapping: dict[str, JsonValue], key: str, value: JsonValue) -> None:
    if key != "<<":
        mapping[key] = value
        return
    for source in value if isinstance(value, list) else [value]:  # YAML 1.1 merge: what is there wins
        if isinstance(source, dict):
            for name, merged in source.items():
                mapping.setdefault(name, merged)


def _resolve(text: str) -> JsonScalar:
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _parse_yaml(text: str) -> JsonValue:
    builder = _Builder()
    documents = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise SpecRejected("The text holds more than one YAML document.")
            builder.feed(event)
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        reason = getattr(fault, "problem", None) or getattr(fault, "reason", None) or "unreadable text"
        raise SpecRejected(f"The document is not valid YAML{where}: {reason}.") from None
    except UnicodeEncodeError:
        raise SpecRejected("The document holds characters that are no Unicode text.") from None
    return builder.root

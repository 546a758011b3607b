"""What a service answered → the outcome of a call."""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import cast

import httpx
import orjson

from models.base import JsonValue
from models.results import Stored
from models.tools import ToolCallFailure, ToolFailed, ToolSucceeded
from planvault.redact import Redactor

MAX_DEPTH = 100  # nesting of a JSON result
MAX_MESSAGE = 500  # characters of a service's error that people and planners see
_GATEWAY = frozenset({502, 503, 504})
_TEXTUAL = re.compile(r"text/|.*(xml|javascript|yaml|csv|x-www-form-urlencoded)")


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. `body` is None where an error's body could not be read, Stored where it was spooled."""

    status: int
    headers: httpx.Headers
    body: bytes | Stored | None


def success(answer: Answer, duration_ms: float, redactor: Redactor | None) -> ToolSucceeded | ToolFailed:
    """A 2xx. JSON is parsed, other text is a string, other bytes are `{contentType, base64}`, nothing is null.

    `redactor` is given when the call carried secrets: a service that echoes one must not write it into the record.
    CPU-bound for large bodies: call it off the event loop.
    """
    body = _bytes(answer)
    value = parse(body, answer.headers.get("Content-Type", ""))
    if depth_exceeds(value, MAX_DEPTH):
        return ToolFailed(
            failure=ToolCallFailure.ANSWERED,
            code="RESPONSE_TOO_DEEP",
            message=too_deep(MAX_DEPTH),
            status=answer.status,
            duration_ms=duration_ms,
        )
    if redactor is not None:
        value = cast(JsonValue, redactor.clean_json(value))
    return ToolSucceeded(value=value, status=answer.status, size=len(body), duration_ms=duration_ms)


def failure(answer: Answer, duration_ms: float, redact: Callable[[str], str], now: datetime) -> ToolFailed:
    """Anything but a 2xx, classified by what it says of the effect."""
    status = answer.status
    retry_after = _retry_after(answer.headers.get("Retry-After", ""), now)
    if status == 429 and retry_after is not None:
        kind = ToolCallFailure.REFUSED
    elif status in _GATEWAY:
        kind = ToolCallFailure.UNKNOWN  # a proxy speaks; what the service did is not known
    else:
        kind = ToolCallFailure.ANSWERED
    return ToolFailed(
        failure=kind,
        code=f"HTTP_{status}",
        message=_message(answer, redact),
        status=status,
        retry_after_s=retry_after,
        duration_ms=duration_ms,
    )


def too_deep(limit: int) -> str:
    return f"The result nests deeper than {limit} levels."


def _bytes(answer: Answer) -> bytes:
    if isinstance(answer.body, Stored):
        raise AssertionError("a spooled body is looked at by a worker")
    return answer.body or b""


def parse(body: bytes, content_type: str) -> JsonValue:
    if not body:
        return None
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.endswith("json") and "charset" not in content_type.lower():
        try:
            parsed: JsonValue = orjson.loads(body)  # UTF-8 (RFC 8259), without a copy of it as text
        except orjson.JSONDecodeError:
            pass  # another encoding, or no JSON: see below
        else:
            return parsed
    text = _decoded(body, content_type, media_type)
    if text is None:
        return {"contentType": media_type, "base64": base64.b64encode(body).decode()}
    if media_type.endswith("json") or (media_type in {"", "text/plain"} and text.lstrip()[:1] in {"{", "["}):
        try:
            value: JsonValue = orjson.loads(text)
        except orjson.JSONDecodeError:
            return text  # the service did what it did; its answer is no JSON after all
        return value
    return text


def _decoded(body: bytes, content_type: str, media_type: str) -> str | None:
    """The body's text, None for bytes that are none."""
    charset = re.search(r"charset=\"?([A-Za-z0-9_.:-]{1,40})", content_type)
    try:
        return body.decode(charset[1] if charset else "utf-8")
    except (UnicodeDecodeError, LookupError):
        is_text = media_type.endswith("json") or _TEXTUAL.match(media_type)
        return body.decode("utf-8", errors="replace") if is_text else None


def depth_exceeds(value: JsonValue, limit: int) -> bool:
    level: list[JsonValue] = [value]
    for _ in range(limit + 1):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _message(answer: Answer, redact: Callable[[str], str]) -> str:
    reason = httpx.codes.get_reason_phrase(answer.status)
    opening = f"The service answered {answer.status} {reason}".strip()
    if 300 <= answer.status < 400:
        return f"{opening}; redirects of this method are not followed."
    body = _bytes(answer)
    if not body:
        return f"{opening}."
    text = redact(body.decode("utf-8", errors="replace"))
    shown = " ".join(text.split())
    return f"{opening}: {shown[:MAX_MESSAGE]}{'…' if len(shown) > MAX_MESSAGE else ''}"


def _retry_after(value: str, now: datetime) -> float | None:
    """Seconds (RFC 9110 §10.2.3), None for what is neither seconds nor a date."""
    if value.strip().isdecimal() and len(value) < 10:
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max((at - now).total_seconds(), 0.0) if at.tzinfo else None

"""What the API says when it refuses a request, as the commands show it."""

import httpx
from pydantic import TypeAdapter

from models.base import JsonObject, JsonValue

_OBJECT: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)


class ApiProblem(Exception):
    """The API refused a request. `code` is the stable last part of the problem's `type`.

    `faults` are the entries of its `errors`, each as `pointer: detail`; the exception's text holds them too.
    """

    def __init__(self, response: httpx.Response) -> None:
        body = _problem_body(response)
        self.status = response.status_code
        self.code = str(body.get("type", "")).rpartition(":")[2] or f"HTTP_{response.status_code}"
        self.detail = str(body.get("detail") or body.get("title") or response.reason_phrase)
        self.request_id = str(body.get("instance") or response.headers.get("X-Request-Id", ""))
        after = response.headers.get("Retry-After", "")
        self.retry_after_s = float(after) if after.isascii() and after.isdigit() else 1.0
        self.errors = tuple(objects(body, "errors"))
        self.faults = tuple(fault(str(entry.get("pointer", "")), str(entry.get("detail", ""))) for entry in self.errors)
        super().__init__("\n    ".join((f"{self.code} ({self.status}): {self.detail}", *self.faults)))


def fault(pointer: str, detail: str) -> str:
    """One line for one fault; a fault of the request as a whole has an empty pointer."""
    return f"{pointer}: {detail}" if pointer else detail


def _problem_body(response: httpx.Response) -> JsonObject:
    """The problem's members, or none where something else than our API answered (a proxy's HTML page)."""
    try:
        return _OBJECT.validate_json(response.content)
    except ValueError:
        return {}


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def objects(body: JsonObject, field: str) -> list[JsonObject]:
    """The objects of a list in an answer; none where the field holds something else."""
    return [item for item in _list(body.get(field)) if isinstance(item, dict)]

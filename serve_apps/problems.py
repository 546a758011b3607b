"""Every error as `application/problem+json` (RFC 9457). What is inside never shows: a 500 says only its request id."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from planvault.errors import FieldError, InvalidInput, NotAuthenticated, PlanVaultError
from planvault.telemetry import current_request_id

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 100

_log = structlog.get_logger(__name__)

# Codes of the statuses that the framework raises itself.
_FRAMEWORK_CODES = {
    HTTPStatus.BAD_REQUEST: "MALFORMED_REQUEST",
    HTTPStatus.NOT_FOUND: "NOT_FOUND",
    HTTPStatus.REQUEST_TIMEOUT: "REQUEST_TIMEOUT",
    HTTPStatus.METHOD_NOT_ALLOWED: "METHOD_NOT_ALLOWED",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "PAYLOAD_TOO_LARGE",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "UNSUPPORTED_MEDIA_TYPE",
}


def problem(
    status: int,
    code: str,
    title: str,
    detail: str,
    *,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    body: dict[str, Any] = {
        "type": f"urn:planvault:problem:{code}",
        "title": title,
        "status": status,
        "detail": _printable(detail),
        "instance": current_request_id(),
    }
    if errors:
        body["errors"] = [{"pointer": _printable(e.pointer), "detail": _printable(e.detail)} for e in errors]
    return JSONResponse(body, status_code=status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def of_error(error: PlanVaultError) -> Response:
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request_failed", code=error.code, exc_info=error)
    return answer_of(error)


def answer_of(error: PlanVaultError) -> Response:
    headers: dict[str, str] = {}
    if isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="planvault"'
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return unexpected(code=error.code)
    return problem(error.status, error.code, error.title, error.detail, errors=error.errors, headers=headers)


def unexpected(code: str = "INTERNAL") -> Response:
    detail = "Something went wrong on our side. Quote the request id when you ask for help."
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, code, "Internal error", detail)


def install(app: FastAPI) -> None:
    """Register the handlers. Errors without one end at the boundary in serve_apps.middleware."""

    async def on_planvault_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, PlanVaultError)
        return of_error(error)

    async def on_validation_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return of_error(InvalidInput(_summary(error.errors()), errors=_field_errors(error.errors())))

    async def on_http_exception(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return of_http(error)

    app.add_exception_handler(PlanVaultError, on_planvault_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(HTTPException, on_http_exception)


def of_http(error: HTTPException) -> Response:
    """What the framework, or a layer in front of it, refuses."""
    status = HTTPStatus(error.status_code)
    code = _FRAMEWORK_CODES.get(status, f"HTTP_{status.value}")
    return problem(status, code, status.phrase, str(error.detail or status.description), headers=error.headers)


def _summary(errors: Sequence[Any]) -> str:
    if any(error["type"] == "json_invalid" for error in errors):
        return "The body is not valid JSON."
    return "The request is not valid; `errors` names every fault."


def _field_errors(errors: Sequence[Any]) -> list[FieldError]:
    return [_field_error(error) for error in errors[:MAX_ERRORS]]


def _field_error(error: Mapping[str, Any]) -> FieldError:
    where, *path = error["loc"]
    if error["type"] == "json_invalid":
        return FieldError("", f"position {path[0]}: {error['ctx']['error']}")
    if where == "body" and not path and (message := _of_no_object(error)):
        return FieldError("", message)
    message = _of_text(error) or str(error["msg"]).removeprefix("Value error, ")
    if len(path) > 1 and path[-1] == "[key]" and path[-2] == error["input"]:
        path.pop()  # the key itself is at fault: no reference token says that
    if where == "body":
        return FieldError(pointer_of(path), message)
    name = ".".join(str(part) for part in path)
    return FieldError("", f"{where} parameter {name}: {message}")


def _of_no_object(error: Mapping[str, Any]) -> str:
    """The whole body is at fault: the validator's words would speak of a field, or of a dictionary."""
    if error["type"] == "missing":
        return "a JSON body is required, `{}` at least"
    if error["type"] != "model_attributes_type":
        return ""
    unread = isinstance(error["input"], bytes)  # the framework parses what calls itself JSON
    return "the body must be JSON, sent with `Content-Type: application/json`" if unread else "must be a JSON object"


def _of_text(error: Mapping[str, Any]) -> str:
    """Text that passed another check before its length was looked at is counted in "items" by the validator."""
    if error["type"] not in ("too_long", "too_short") or not isinstance(error.get("input"), str):
        return ""
    word, limit = ("most", "max_length") if error["type"] == "too_long" else ("least", "min_length")
    count = error["ctx"][limit]
    return f"String should have at {word} {count} character{'' if count == 1 else 's'}"


def pointer_of(path: Sequence[object]) -> str:
    """A JSON pointer from a validator's path."""
    return "".join(f"/{_escape(part)}" for part in path)


def _escape(part: object) -> str:
    """One reference token of a JSON pointer (RFC 6901)."""
    return str(part).replace("~", "~0").replace("/", "~1")


def _printable(text: str) -> str:
    """Text that encodes as UTF-8, bounded: a hostile key may be a lone surrogate, or megabytes long."""
    return text[:2_000].encode("utf-8", "replace").decode()

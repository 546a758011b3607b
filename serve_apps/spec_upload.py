"""Reads the body that registers an API description: JSON, or YAML of the same fields, or the YAML document itself.

Parsed outside the event loop and only after the caller is known: such a body may be tens of megabytes.
"""

import asyncio
import email.message
import re

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from models.base import JsonObject, JsonValue
from planvault.errors import FieldError, InvalidInput, SpecRejected
from planvault.ingestion.parse import parse_text
from serve_apps.problems import pointer_of
from serve_apps.schemas.imports import PutTools

JSON_TYPES = frozenset({"application/json"})
YAML_TYPES = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"})


async def read(request: Request) -> PutTools:
    """Raises InvalidInput; HTTPException 413, 415 as the framework does for other routes."""
    media_type = _media_type(request)
    if media_type not in JSON_TYPES | YAML_TYPES:
        raise HTTPException(415, "Send application/json or application/yaml.")
    try:
        text = (await request.body()).decode()
    except UnicodeDecodeError as fault:
        raise InvalidInput(f"The body is not UTF-8 (byte {fault.start}).") from None
    return await asyncio.to_thread(_parse, text, dict(request.query_params))


def _media_type(request: Request) -> str:
    message = email.message.Message()
    message["content-type"] = request.headers.get("content-type", "application/json")
    return message.get_content_type()


def _parse(text: str, query: dict[str, str]) -> PutTools:
    try:
        body = parse_text(text)
    except SpecRejected as fault:
        raise InvalidInput(fault.detail.replace("The document", "The body", 1)) from None
    if isinstance(body, dict) and ("openapi" in body or "swagger" in body):
        body = _around(body, text, query)
    try:
        return PutTools.model_validate(body)
    except ValidationError as fault:
        errors = [FieldError(pointer_of(error["loc"]), _message(error["msg"])) for error in fault.errors()]
        raise InvalidInput("The request is not valid; `errors` names every fault.", errors=errors) from None


def _around(document: JsonObject, text: str, query: dict[str, str]) -> JsonObject:
    """The fields that a bare document needs: from the query, the name else from the document's title."""
    info = document.get("info")
    title = str(info.get("title", "")) if isinstance(info, dict) else ""
    fields: dict[str, JsonValue] = {"name": query.get("name") or _alias(title), "openApiSpec": text}
    if title:
        fields["displayName"] = title[:200]
    return fields | {name: query[name] for name in ("displayName", "baseUrl") if name in query}


def _alias(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).lstrip("-0123456789")[:63].rstrip("-") or "api"


def _message(text: str) -> str:
    return text.removeprefix("Value error, ")

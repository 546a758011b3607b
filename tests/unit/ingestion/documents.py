"""Small documents, and what is extracted from them."""

import json

from models.base import JsonObject, JsonValue
from models.tools import ToolParam
from planvault.ingestion.drafts import Extraction, ToolDraft
from planvault.ingestion.openapi import extract
from planvault.ingestion.parse import parse_spec


def openapi(paths: JsonObject, *, version: str = "3.0.3", **more: JsonValue) -> JsonObject:
    return {"openapi": version, "info": {"title": "T", "version": "1"}, "paths": paths, **more}


def swagger(paths: JsonObject, **more: JsonValue) -> JsonObject:
    return {"swagger": "2.0", "info": {"title": "T", "version": "1"}, "paths": paths, **more}


def extracted(document: JsonObject) -> Extraction:
    return extract(parse_spec(json.dumps(document)))


def only(document: JsonObject) -> ToolDraft:
    """The document's one tool, of which nothing was skipped."""
    found = extracted(document)
    assert found.skipped == ()
    assert len(found.drafts) == 1
    return found.drafts[0]


def posting(
    schema: JsonValue, *, media: str = "application/json", required: bool = True, **more: JsonValue
) -> ToolDraft:
    """The tool of one POST with this body; `more` stands at the document's root."""
    body: JsonObject = {"required": required, "content": {media: {"schema": schema}}}
    return only(openapi({"/things": {"post": {"operationId": "make", "requestBody": body}}}, **more))


def shape(params: tuple[ToolParam, ...]) -> dict[str, tuple[str, bool]]:
    """Name → where it goes (`query limit`, `body a.b`), whether it is required."""
    return {
        param.name: (
            f"{param.location.value} {'.'.join(param.body_path) if param.location == 'body' else param.wire_name}",
            param.required,
        )
        for param in params
    }

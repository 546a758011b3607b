"""Runs schemathesis as one kind of caller, on the routes that are its own."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzz.room import Room
from models.base import JsonObject, JsonValue

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance"
)
# Its answer never ends: tests/integration/serve_apps/test_chat.py reads it.
_STREAMS = re.compile(r"/chat$")


@dataclass(frozen=True)
class Caller:
    name: str
    paths: str  # regular expression
    token: str
    share: float = 1.0  # of the examples


def callers(place: Room) -> list[Caller]:
    return [
        Caller("project key", r"^/api/", place.key.text),
        Caller("admin token", r"^(?!/api/)", place.admin),
        Caller("a stranger", r"", "sk_live_" + "0" * 43, 0.1),
    ]


def document_for(place: Room, caller: Caller, only: str) -> JsonObject:
    """The document with this tenant's ids in place of any: random ones are nobody's, and end at the door."""
    document = copy.deepcopy(place.document)
    gone: set[str] = set()
    paths = document["paths"]
    assert isinstance(paths, dict)
    for path in list(paths):
        operations = paths[path]
        assert isinstance(operations, dict)
        if _STREAMS.search(path) or not re.search(caller.paths, path) or not re.search(only, path):
            gone |= {str(_object(operation)["operationId"]) for operation in operations.values()}
            del paths[path]
            continue
        for method, operation in operations.items():
            _fix(_object(operation), place, doomed=method == "delete" and path.endswith("/projects/{projectId}"))
    for operations in paths.values():
        for operation in _object(operations).values():
            for answer in _object(_object(operation)["responses"]).values():
                links = _object(_object(answer).get("links", {}))
                for name in gone & links.keys():
                    del links[name]
    return document


def _object(value: JsonValue) -> JsonObject:
    assert isinstance(value, dict)
    return value


def _fix(operation: JsonObject, place: Room, *, doomed: bool) -> None:
    known = {"orgId": place.org_id, "projectId": place.doomed_project_id if doomed else place.project_id}
    parameters = operation.get("parameters", [])
    assert isinstance(parameters, list)
    for parameter in parameters:
        assert isinstance(parameter, dict)
        name = str(parameter["name"])
        if parameter["in"] == "path" and name in known:
            parameter["schema"] = {"type": "string", "enum": [str(known[name])]}


@dataclass(frozen=True)
class Effort:
    examples: int = 50  # of each route
    seed: int = 1
    only: str = ""  # regular expression: paths
    phases: str = "examples,coverage,fuzzing,stateful"


async def fuzz(place: Room, caller: Caller, effort: Effort, folder: Path) -> bool:
    """Whether nothing failed. What did is printed by schemathesis, with a curl command for each."""
    file = folder / f"{caller.name.replace(' ', '-')}.json"
    file.write_text(json.dumps(document_for(place, caller, effort.only)))
    command = [
        *(str(Path(sys.executable).with_name("st")), "run", str(file), "--url", place.url),
        *("-H", f"Authorization: Bearer {caller.token}", "--checks", CHECKS),
        *("--max-examples", str(max(1, int(effort.examples * caller.share))), "--seed", str(effort.seed)),
        *("--request-timeout", "30", "--workers", "1", "--no-color", "--continue-on-failure", "--warnings", "off"),
        *("--generation-database", "none", "--suppress-health-check", "all", "--phases", effort.phases),
    ]
    process = await asyncio.create_subprocess_exec(*command, cwd=folder)
    return await process.wait() == 0

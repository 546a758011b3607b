"""Runs schemathesis as one kind of caller, on the routes that are its own."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from benchmarks.fuzz.people import address
from benchmarks.fuzz.room import Room
from models.access import Role
from models.base import JsonObject, JsonValue

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance"
)
# What ends the organisation, or a membership in it: the fuzzed one is needed.
_ENDS_ORGANIZATION = re.compile(r"/(orgs|organizations)/\{orgId\}$")


@dataclass(frozen=True)
class Caller:
    name: str
    paths: str  # regular expression
    token: str
    share: float = 1.0  # of the examples
    operator: str = ""  # the only one whom X-Operator-Id may name; empty: anybody


def callers(place: Room) -> list[Caller]:
    """Who may remove others comes after them."""
    people, services = place.tokens
    rising = [role for role in (Role.MEMBER, Role.DEVELOPER, Role.ADMIN, Role.OWNER) if role in people]
    return [
        Caller("project key", r"^/api/", place.key.text),
        *(Caller(f"service {role.lower()}", r"", services[role], 0.15) for role in rising if role in services),
        *(Caller(f"person {role.lower()}", r"", people[role], 0.3, address(role)) for role in rising),
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
        if not re.search(caller.paths, path) or not re.search(only, path):
            gone |= {str(_object(operation)["operationId"]) for operation in operations.values()}
            del paths[path]
            continue
        for method, operation in operations.items():
            _fix(_object(operation), _ids(place, path, method), caller.operator)
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


def _ids(place: Room, path: str, method: str) -> dict[str, UUID]:
    """What stands in a path's places. What deletes is pointed at what nobody needs."""
    if method == "delete" and _ENDS_ORGANIZATION.search(path):
        return {"orgId": place.doomed_org_id}
    doomed = method == "delete" and path.endswith("/projects/{projectId}")
    return {"orgId": place.org_id, "projectId": place.doomed_project_id if doomed else place.project_id}


def _fix(operation: JsonObject, known: Mapping[str, UUID], operator: str) -> None:
    parameters = operation.get("parameters", [])
    assert isinstance(parameters, list)
    for parameter in parameters:
        assert isinstance(parameter, dict)
        name = str(parameter["name"])
        if parameter["in"] == "path" and name in known:
            parameter["schema"] = {"type": "string", "enum": [str(known[name])]}
        elif operator and name == "X-Operator-Id":  # a signed-in person who names another ends at the door as well
            parameter["schema"] = {"type": "string", "enum": [operator]}


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

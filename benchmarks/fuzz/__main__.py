"""`python -m benchmarks.fuzz [--examples 50] [--seed 1] [--only REGEX]`: cases, statuses, failures.

Each kind of caller fuzzes the routes that are its own, valid and invalid input, one call and chains of calls along the
document's links. Exit status 1 where an answer was a 5xx, or not what the document says.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import json
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzz.room import Room, room
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


async def fuzz(place: Room, caller: Caller, arguments: argparse.Namespace, folder: Path) -> bool:
    """Whether nothing failed. What did is printed by schemathesis, with a curl command for each."""
    file = folder / f"{caller.name.replace(' ', '-')}.json"
    file.write_text(json.dumps(document_for(place, caller, arguments.only)))
    command = [
        *(str(Path(sys.executable).with_name("st")), "run", str(file), "--url", place.url),
        *("-H", f"Authorization: Bearer {caller.token}", "--checks", CHECKS),
        *("--max-examples", str(max(1, int(arguments.examples * caller.share))), "--seed", str(arguments.seed)),
        *("--request-timeout", "30", "--workers", "1", "--no-color", "--continue-on-failure", "--warnings", "off"),
        *("--generation-database", "none", "--suppress-health-check", "all"),
    ]
    process = await asyncio.create_subprocess_exec(*command, cwd=folder)
    return await process.wait() == 0


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=50, help="of each route and kind of caller")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="regular expression: paths")
    parser.add_argument("--caller", default="", help="regular expression: kinds of callers")
    arguments = parser.parse_args()
    started = time.monotonic()
    good = True
    async with room() as place:
        with tempfile.TemporaryDirectory(prefix="planvault-fuzz-") as folder:
            for caller in callers(place):
                if re.search(arguments.caller, caller.name):
                    good &= await fuzz(place, caller, arguments, Path(folder))
        tally = place.tally
    print(
        json.dumps(
            {
                "cases": sum(tally.statuses.values()),
                "seconds": round(time.monotonic() - started, 1),
                "statuses": {str(status): number for status, number in sorted(tally.statuses.items())},
                "serverErrors": dict(tally.failed),
                "conforms": good,
            },
            indent=2,
        )
    )
    return 0 if good and not tally.failed else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

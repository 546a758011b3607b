"""A session host in a process of its own, as production composes it, with faults around its ports.

The catalog, the tools' HTTP calls, Postgres, leases and keys are the real ones; the embedder and the planner are
played, since models are not what dies here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from actors.session_host import SessionHost
from models.planning import PlanOutcome, PlanRequest
from models.plans import PlannerMode
from planvault.plan.compile import compile_plan
from planvault.ports import Span, Vector
from planvault.settings import Settings
from planvault.telemetry import start_logging
from tests.faults.boundaries import Action, Boundary, Faults, Phase, Watch
from tests.faults.scenarios import program


class EmbedderTwin:
    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        return [[1.0] + [0.0] * 383 for _ in texts]

    async def embed_prompt(self, text: str, spans: Sequence[Span]) -> list[Vector]:
        return await self.embed([text, *(text[slice(*span)] for span in spans)])


class PlannerTwin:
    """The prompt names a scenario and a case; the answer is that scenario's program."""

    async def plan(self, request: PlanRequest) -> PlanOutcome:
        compiled = compile_plan(program(request.prompt), PlannerMode.PYTHON_DSL, request.tools)
        return PlanOutcome(plan=compiled.plan, problems=compiled.problems, planner="twin", mode=PlannerMode.PYTHON_DSL)


def settings(database_url: str, keyset: Path, events: str | None) -> Settings:
    """`events`: the folder of the file store; None: events are rows of the database."""
    store = {} if events is None else {"session_store": "file", "events_dir": Path(events)}
    shape = {"shards": 8, "lease_seconds": 2.0, "build_id": "faults", "egress_allow_loopback": True}
    return Settings.model_validate({"database_url": database_url, "keyset_path": keyset, **shape, **store})


async def counting(port: int, op: str, case: str) -> Any:
    """Ask the counting service."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(json.dumps({"op": op, "case": case}).encode() + b"\n")
        return json.loads(await reader.readline())
    finally:
        writer.close()


def armed(order: dict[str, Any]) -> Watch:
    at = order["at"]
    boundary = None if at is None else Boundary(at["append"], Phase(at["phase"]), at["effect"])
    return Watch(boundary, Action(order["action"]), order["case"])


async def run(order: dict[str, Any]) -> None:
    """Until the test lets go of the control socket. `order`: name, socket, counter, database_url, keyset, events."""
    reader, writer = await asyncio.open_unix_connection(order["socket"])

    def tell(news: dict[str, Any]) -> None:
        writer.write(json.dumps(news).encode() + b"\n")

    faults = Faults(tell, lambda op, case: counting(order["counter"], op, case))
    chosen = settings(order["database_url"], Path(order["keyset"]), order["events"])
    redactor = start_logging(chosen, {})
    host = SessionHost(order["name"], chosen, redactor, EmbedderTwin(), PlannerTwin(), faults.around())
    tell({"hello": order["name"]})
    host.start()
    while line := await reader.readline():
        said = json.loads(line)
        match said["op"]:
            case "arm":
                faults.watches[said["session"]] = armed(said)
                tell({"armed": said["session"]})
            case "go":
                faults.go.set()
            case "stats":
                tell({"stats": host.stats})
            case "drain":
                await host.drain()
                tell({"drained": True})

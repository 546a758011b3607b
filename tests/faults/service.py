"""A service in a process of its own that counts: connections, requests by path and idempotency key, and effects.

`python -m tests.faults.service` prints its base URL and the port of its counter. It is the judge of the fault tests:
what it received is what the platform sent, whatever the platform's record says. Paths begin with the name of a case,
so that cases do not meet. The counter speaks JSON lines: `{"op": …, "case": …}` → one line.
"""

import asyncio
import json
import socket
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

REFUSED_FIRST = "stock"  # answers 429 with Retry-After to the first request of each of its paths


@dataclass
class Case:
    """What one case's tools did to the world. `held` is set while a request waits for its answer."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    effects: Counter[str] = field(default_factory=Counter)  # by kind of tool and item
    answers: dict[str, Any] = field(default_factory=dict)  # by idempotency key
    connections: set[int] = field(default_factory=set)
    hold: bool = False
    held: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)


CASES: defaultdict[str, Case] = defaultdict(Case)
_connections = 0


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """HTTP/1.1 with keep-alive; reads whole requests only, so a request that is counted had arrived."""
    global _connections
    _connections += 1
    number = _connections
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")
            method, target, _ = first.split(" ")
            pairs = (line.partition(":") for line in lines if line)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))) or b"null")
            status, answer = await received(number, method, target, headers.get("idempotency-key"), body)
            extra = "Retry-After: 0\r\n" if status == 429 else ""
            data = json.dumps(answer).encode()
            writer.write(
                f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{extra}"
                f"Content-Length: {len(data)}\r\n\r\n".encode()
                + data
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the client left, or was killed
    finally:
        writer.close()


async def received(connection: int, method: str, target: str, key: str | None, body: Any) -> tuple[int, Any]:
    name, kind, *rest = target.strip("/").split("/")
    case = CASES[name]
    item = rest[0] if rest else str((body or {}).get("item"))
    seen = any(request["path"] == target for request in case.requests)
    case.connections.add(connection)
    case.requests.append({"method": method, "path": target, "kind": kind, "item": item, "key": key})
    if kind == REFUSED_FIRST and not seen:
        status, answer = 429, {}
    elif item == "missing":
        status, answer = 404, {}
    else:
        status, answer = 200, execute(case, kind, item, key)
    if case.hold:  # it happened; the answer is what does not arrive
        case.hold = False
        case.held.set()
        await case.release.wait()
    return status, answer


def execute(case: Case, kind: str, item: str, key: str | None) -> Any:
    """What the tools do. The keyed one does it once a key, and says so again."""
    if kind == "payments" and key in case.answers:
        return case.answers[key]
    answer = result_of(kind)
    if kind not in {"orders", REFUSED_FIRST}:
        case.effects[f"{kind} {item}"] += 1
    if kind == "payments" and key is not None:
        case.answers[key] = answer
    return answer


def result_of(kind: str) -> Any:
    """What a tool answers; it depends on nothing, so that an operator can say it."""
    return {
        "orders": {"open": True, "lines": [{"id": "a"}, {"id": "b"}]},
        "payments": {"amount": 21},
        "mails": {"sent": True},
        "status": {"stored": True},
        REFUSED_FIRST: {"left": 3},
    }.get(kind, {})


async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The counter's side: hold | received | release | verdict of a case."""
    while line := await reader.readline():
        asked = json.loads(line)
        case = CASES[asked["case"]]
        said: Any = True
        match asked["op"]:
            case "hold":
                case.hold = True
            case "received":
                await case.held.wait()
            case "release":
                case.release.set()
            case "verdict":
                said = {
                    "requests": case.requests,
                    "effects": dict(case.effects),
                    "connections": len(case.connections),
                }
        writer.write(json.dumps(said).encode() + b"\n")
        await writer.drain()
    writer.close()


async def main() -> None:
    http = await asyncio.start_server(serve, "127.0.0.1", 0)
    counter = await asyncio.start_server(count, "127.0.0.1", 0)
    ports = [_port(server.sockets[0]) for server in (http, counter)]
    sys.stdout.write(f"{ports[0]} {ports[1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def _port(listening: socket.socket) -> int:
    return int(listening.getsockname()[1])


if __name__ == "__main__":
    asyncio.run(main())

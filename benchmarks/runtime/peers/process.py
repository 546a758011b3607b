"""A peer's process as a contestant: started once, asked many times."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.runtime.contest import Lap

ROOT = Path(__file__).resolve().parents[3]
_STEPS = 10


class Peer:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def lap(self, runs: int, each: int) -> Lap:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"runs": runs, "each": each}).encode() + b"\n")
        await self._process.stdin.drain()
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the peer's process ended; what it said is above")
        said = json.loads(line)
        steps = runs * each * _STEPS
        return Lap(steps, steps / said["seconds"], said["stepMsP50"], said["stepMsP99"])


@asynccontextmanager
async def peer(python: Path, module: str, *arguments: str) -> AsyncIterator[Peer]:
    process = await asyncio.create_subprocess_exec(
        python,
        "-m",
        f"benchmarks.runtime.peers.{module}",
        *arguments,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Peer(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()

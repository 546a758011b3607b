"""Extraction in a process of its own, so that no document can stop, starve or kill the worker that reads it.

The process reads one document after the other: starting it takes longer than most documents. One that takes too long
or too much memory is refused, and costs the process; the next document gets a new one.
"""

import asyncio
import gc
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO, Self

from planvault.errors import PlanVaultError, SpecRejected, TooLarge, Unavailable
from planvault.ingestion.drafts import Extraction
from planvault.ingestion.openapi import extract
from planvault.ingestion.parse import parse_spec

# Seconds of computing; the largest public documents (20,000 operations, 47 MB) take 25. On a busy machine they take
# several times as long by the clock, which is no fault of theirs.
CPU_S = 120.0
TIMEOUT_S = 10 * CPU_S
MEMORY_BYTES = 4 * 1024**3
# A document above this size has the process replaced behind it: what it took is given back to the machine.
LARGE_BYTES = 8 * 1024**2
_REFUSALS: dict[str, Callable[[str], PlanVaultError]] = {SpecRejected.code: SpecRejected, TooLarge.code: TooLarge}
_GRACE_S = 2.0  # between the end of its output and its own
_FRAME = 8  # bytes of a frame's length
_OK, _REFUSED = b"o", b"r"


async def extract_isolated(text: str, timeout_s: float = TIMEOUT_S) -> Extraction:
    """Raises SpecRejected or TooLarge for what is wrong with the document, Unavailable where no process starts."""
    async with ExtractionProcess() as process:
        answer = await process.extract(text.encode("utf-8", errors="surrogatepass"), timeout_s)
    return await asyncio.to_thread(Extraction.model_validate_json, answer)


class ExtractionProcess:
    """A process that reads documents; it starts with the first. Not for concurrent use."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES, cpu_s: float = CPU_S) -> None:
        self._memory_bytes = memory_bytes
        self._cpu_s = cpu_s
        self._process: asyncio.subprocess.Process | None = None

    async def extract(self, document: bytes, timeout_s: float = TIMEOUT_S) -> bytes:
        """The JSON of an `Extraction`. Raises as `extract_isolated` does; the next call works either way."""
        process = await self._running()
        try:
            async with asyncio.timeout(timeout_s):
                kind, content = await _ask(process, document)
        except TimeoutError:
            await self.close()
            raise SpecRejected(f"Reading the document took longer than {timeout_s:g} s; import it in parts.") from None
        except (asyncio.IncompleteReadError, OSError):
            if await self._ended(process) == -signal.SIGPROF:
                reason = f"Reading the document took longer than {self._cpu_s:g} s; import it in parts."
                raise SpecRejected(reason) from None
            raise SpecRejected("Reading the document took more memory than allowed; import it in parts.") from None
        except BaseException:  # a cancelled caller above all: half an answer may be on its way to the next one
            await self.close()
            raise
        if len(document) > LARGE_BYTES:
            await self.close()
        if kind == _OK:
            return content
        refusal = json.loads(content)
        raise _REFUSALS[refusal["code"]](refusal["detail"])

    async def _ended(self, process: asyncio.subprocess.Process) -> int:
        """Its status: it has closed its end, or is ended now."""
        try:
            async with asyncio.timeout(_GRACE_S):
                await process.wait()
        except TimeoutError:
            pass
        await self.close()
        return await process.wait()

    async def close(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "planvault.ingestion.isolation",
                str(self._memory_bytes),
                str(self._cpu_s),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as fault:
            raise Unavailable(f"No process could be started to read the document: {fault}.") from fault
        return self._process


async def _ask(process: asyncio.subprocess.Process, document: bytes) -> tuple[bytes, bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(len(document).to_bytes(_FRAME, "big"))
    process.stdin.write(document)
    await process.stdin.drain()
    kind = await process.stdout.readexactly(1)
    size = int.from_bytes(await process.stdout.readexactly(_FRAME), "big")
    return kind, await process.stdout.readexactly(size)


# ── the process ──────────────────────────────────────────────────────────────────────────────────────────────────────


def main(memory_bytes: int, cpu_s: float) -> None:
    """Standard input: frames of documents, until it closes. Standard output: for each its kind and a frame of JSON."""
    with suppress(
        ValueError, OSError
    ):  # macOS knows no such limit, a container may set a lower one; the deadline holds
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    # What a library prints must not get between the frames.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    # A document is a tree: nobody need look for cycles in it while it is read. `serve` looks afterwards.
    gc.disable()
    gc.freeze()
    serve(sys.stdin.buffer, answers, cpu_s)


def serve(documents: BinaryIO, answers: BinaryIO, cpu_s: float) -> None:
    """Ended by SIGPROF when a document has taken `cpu_s` of computing."""
    while head := documents.read(_FRAME):
        signal.setitimer(signal.ITIMER_PROF, cpu_s)
        kind, content = _extracted(documents.read(int.from_bytes(head, "big")))
        answers.write(kind + len(content).to_bytes(_FRAME, "big"))
        answers.write(content)
        answers.flush()
        del content
        gc.collect()


def _extracted(document: bytes) -> tuple[bytes, bytes]:
    try:
        return _OK, extract(parse_spec(_text(document))).model_dump_json().encode("utf-8", errors="surrogatepass")
    except (SpecRejected, TooLarge) as refusal:
        return _REFUSED, json.dumps({"code": refusal.code, "detail": refusal.detail}).encode()


def _text(document: bytes) -> str:
    try:
        return document.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="surrogatepass")
    except UnicodeDecodeError:
        raise SpecRejected("The document is not UTF-8 text.") from None


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))

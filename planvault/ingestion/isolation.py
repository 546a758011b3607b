"""Extraction in a process of its own, so that no document can stop, starve or kill the worker that reads it."""

import asyncio
import json
import resource
import sys
from collections.abc import Callable
from contextlib import suppress

from planvault.errors import PlanVaultError, SpecRejected, TooLarge, Unavailable
from planvault.ingestion.drafts import Extraction
from planvault.ingestion.openapi import extract
from planvault.ingestion.parse import parse_spec

TIMEOUT_S = 120.0  # the largest public documents (20,000 operations, 47 MB) take 25 s
MEMORY_BYTES = 4 * 1024**3
_REFUSALS: dict[str, Callable[[str], PlanVaultError]] = {SpecRejected.code: SpecRejected, TooLarge.code: TooLarge}


async def extract_isolated(text: str, timeout_s: float = TIMEOUT_S) -> Extraction:
    """Raises SpecRejected or TooLarge for what is wrong with the document, Unavailable where no process starts."""
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "planvault.ingestion.isolation",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as fault:
        raise Unavailable(f"No process could be started to read the document: {fault}.") from fault
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await process.communicate(text.encode("utf-8", errors="surrogatepass"))
    except TimeoutError:
        raise SpecRejected(f"Reading the document took longer than {timeout_s:g} s; import it in parts.") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        raise SpecRejected("Reading the document took more memory than allowed; import it in parts.")
    return await asyncio.to_thread(_answer, output)


def _answer(output: bytes) -> Extraction:
    kind, _, content = output.partition(b"\n")
    if kind == b"ok":
        return Extraction.model_validate_json(content)
    refusal = json.loads(content)
    raise _REFUSALS[refusal["code"]](refusal["detail"])


def main() -> None:
    """Standard input: a document's text. Standard output: `ok` or `refused`, a line break, and JSON."""
    with suppress(
        ValueError, OSError
    ):  # macOS knows no such limit, a container may set a lower one; the deadline holds
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    text = sys.stdin.buffer.read().decode("utf-8", errors="surrogatepass")
    try:
        answer = b"ok\n" + extract(parse_spec(text)).model_dump_json().encode()
    except (SpecRejected, TooLarge) as refusal:
        answer = b"refused\n" + json.dumps({"code": refusal.code, "detail": refusal.detail}).encode()
    sys.stdout.buffer.write(answer)


if __name__ == "__main__":
    main()

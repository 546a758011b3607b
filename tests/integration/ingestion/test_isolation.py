"""The process that reads documents: it survives what it can, and what it cannot costs one document."""

import asyncio
import json
import os
import signal

import pytest

from planvault.errors import SpecRejected, TooLarge
from planvault.ingestion.drafts import Extraction
from planvault.ingestion.isolation import ExtractionProcess
from tests.integration.ingestion.bulk import document

GOOD = json.dumps(document("a")).encode()


def names(answer: bytes) -> list[str]:
    return [draft.name for draft in Extraction.model_validate_json(answer).drafts]


async def test_one_process_reads_document_after_document() -> None:
    async with ExtractionProcess() as process:
        first = await process.extract(GOOD)
        running = process._process
        with pytest.raises(SpecRejected, match="not valid JSON"):
            await process.extract(b"{")
        with pytest.raises(SpecRejected, match="not UTF-8"):
            await process.extract(b"\xff\xfe\x00")
        assert names(await process.extract(b"\xef\xbb\xbf" + GOOD)) == names(first) == ["a"]
        assert process._process is running


async def test_a_document_that_computes_too_long_is_refused_and_the_next_is_read() -> None:
    slow = json.dumps(document(*(f"a{number}" for number in range(10_000)))).encode()
    async with ExtractionProcess(cpu_s=0.05) as process:
        with pytest.raises(SpecRejected, match=r"took longer than 0\.05 s"):
            await process.extract(slow)
    async with ExtractionProcess() as process:
        with pytest.raises(SpecRejected, match="took longer"):
            await process.extract(slow, timeout_s=0.01)
        assert names(await process.extract(GOOD)) == ["a"]


async def test_a_document_that_takes_too_much_memory_is_refused_and_the_next_is_read() -> None:
    async with ExtractionProcess(memory_bytes=400 * 1024**2) as process:
        with pytest.raises((SpecRejected, TooLarge), match=r"memory|larger|bytes"):
            await process.extract(b"[" + b"[1]," * 12_000_000 + b"1]")
        assert names(await process.extract(GOOD)) == ["a"]


async def test_a_process_that_somebody_killed_between_two_documents_is_replaced() -> None:
    async with ExtractionProcess() as process:
        await process.extract(GOOD)
        running = process._process
        assert running is not None
        os.kill(running.pid, signal.SIGKILL)
        await running.wait()
        assert names(await process.extract(GOOD)) == ["a"]


async def test_a_reading_that_is_given_up_leaves_no_half_answer_behind() -> None:
    other = json.dumps(document("b")).encode()
    async with ExtractionProcess() as process:
        await process.extract(GOOD)
        reading = asyncio.ensure_future(process.extract(GOOD))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait({reading})
        assert names(await process.extract(other)) == ["b"]

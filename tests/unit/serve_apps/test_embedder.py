"""The embedder's class without Ray: batching across callers, order, fairness, health."""

import asyncio
import threading
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from ray import serve

from retrieval.embedding import Prompt
from serve_apps.embedder import PASS_CHARACTERS, PASS_TEXTS, EmbedderArgs, EmbedderReplica


class CountingModel:
    """Embeds a text, and each of its spans, as its length and remembers each pass; `gate` holds passes back."""

    def __init__(self) -> None:
        self.passes: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()

    def embed_prompts(self, prompts: Sequence[Prompt]) -> list[NDArray[np.float32]]:
        self.passes.append([text for text, _ in prompts])
        assert self.gate.wait(10)
        return [
            np.array([[len(part), 1.0] for part in (text, *(text[slice(*span)] for span in spans))], dtype=np.float32)
            for text, spans in prompts
        ]


@pytest.fixture(autouse=True)
def replica_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve's real batching asks its replica how many requests it may hold; outside Serve there is none to ask."""
    config = SimpleNamespace(max_ongoing_requests=256)
    monkeypatch.setattr(serve, "get_replica_context", lambda: SimpleNamespace(_deployment_config=config))


@pytest.fixture
def model() -> CountingModel:
    return CountingModel()


@pytest.fixture
def replica(model: CountingModel) -> EmbedderReplica:
    return EmbedderReplica(EmbedderArgs(), model)


async def test_vectors_come_back_in_the_order_of_the_texts(replica: EmbedderReplica) -> None:
    texts = ["a" * (i % 7) for i in range(3 * PASS_TEXTS + 5)]

    assert await replica.embed(texts) == [[float(len(text)), 1.0] for text in texts]


async def test_no_texts_need_no_pass(replica: EmbedderReplica, model: CountingModel) -> None:
    assert await replica.embed([]) == []
    assert model.passes == []


async def test_texts_of_concurrent_callers_share_passes(replica: EmbedderReplica, model: CountingModel) -> None:
    answers = await asyncio.gather(*(replica.embed(["x" * i]) for i in range(PASS_TEXTS)))

    assert answers == [[[float(i), 1.0]] for i in range(PASS_TEXTS)]
    assert len(model.passes) < PASS_TEXTS / 4


async def test_a_prompt_does_not_wait_for_a_whole_import(replica: EmbedderReplica, model: CountingModel) -> None:
    model.gate.clear()
    documents = asyncio.create_task(replica.embed(["document"] * PASS_TEXTS * 10))
    async with asyncio.timeout(10):
        while not model.passes:
            await asyncio.sleep(0)
    prompt = asyncio.create_task(replica.embed(["prompt"]))
    await asyncio.sleep(0)
    model.gate.set()

    await prompt

    assert not documents.done()
    passes_before = next(number for number, texts in enumerate(model.passes) if "prompt" in texts)
    assert passes_before <= 2
    await documents


async def test_a_pass_is_never_larger_than_its_bound(replica: EmbedderReplica, model: CountingModel) -> None:
    await asyncio.gather(*(replica.embed(["text"] * 50) for _ in range(4)))

    assert max(map(len, model.passes)) <= PASS_TEXTS


async def test_a_pass_of_long_documents_is_short(replica: EmbedderReplica, model: CountingModel) -> None:
    texts = ["x" * 1_400, "short", "y" * 1_300] * 8

    assert await replica.embed(texts) == [[float(len(text)), 1.0] for text in texts]
    assert max(len(texts) * max(map(len, texts)) for texts in model.passes) <= PASS_CHARACTERS


async def test_documents_of_a_length_share_a_pass(replica: EmbedderReplica, model: CountingModel) -> None:
    await replica.embed(["x" * (100 if number % 2 else 5) for number in range(2 * PASS_TEXTS)])

    assert [sorted({len(text) for text in texts}) for texts in model.passes] == [[5], [100]]


async def test_a_prompts_spans_come_back_behind_its_whole(replica: EmbedderReplica) -> None:
    answers = await asyncio.gather(
        replica.embed_prompt("list pets and sell one", [(0, 9), (14, 22)]), replica.embed_prompt("hello", [])
    )

    assert list(answers) == [[[22.0, 1.0], [9.0, 1.0], [8.0, 1.0]], [[5.0, 1.0]]]


async def test_a_model_that_fails_fails_the_health_check() -> None:
    class Broken:
        def embed_prompts(self, prompts: Sequence[Prompt]) -> list[NDArray[np.float32]]:
            raise RuntimeError("weights are gone")

    with pytest.raises(RuntimeError, match="weights are gone"):
        await EmbedderReplica(EmbedderArgs(), Broken()).check_health()


async def test_a_working_model_is_healthy(replica: EmbedderReplica) -> None:
    await replica.check_health()

"""The real all-MiniLM-L6-v2 from its wheel."""

import asyncio
import os

import numpy as np

from retrieval.embedding import DIMENSIONS, InProcessEmbedder, MiniLm


def test_vectors_are_normalised_float32_in_the_order_of_the_texts(minilm: MiniLm) -> None:
    texts = ["cancel an order", "a much longer text about the weather in the mountains " * 20, "x", ""]

    vectors = minilm.embed(texts)

    assert vectors.shape == (4, DIMENSIONS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_allclose(minilm.embed([text])[0], vector, atol=1e-5)


def test_nothing_to_embed_gives_an_empty_matrix(minilm: MiniLm) -> None:
    assert minilm.embed([]).shape == (0, DIMENSIONS)


def test_near_meanings_are_nearer_than_far_ones(minilm: MiniLm) -> None:
    cancel, stop, weather = minilm.embed(["cancel my order", "stop the purchase I made", "will it rain tomorrow"])

    assert cancel @ stop > cancel @ weather + 0.2


def test_loading_switches_every_hub_off(minilm: MiniLm) -> None:
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert os.environ["TRANSFORMERS_OFFLINE"] == "1"


async def test_concurrent_callers_of_the_in_process_embedder_get_their_own_vectors(minilm: MiniLm) -> None:
    embedder = InProcessEmbedder(minilm)

    answers = await asyncio.gather(*(embedder.embed([f"text number {i}"]) for i in range(8)))

    for i, answer in enumerate(answers):
        np.testing.assert_allclose(answer[0], minilm.embed([f"text number {i}"])[0], atol=1e-5)

"""The real all-MiniLM-L6-v2 from its wheel."""

import asyncio
import os

import numpy as np

from retrieval.embedding import DIMENSIONS, InProcessEmbedder, MiniLm

# In bfloat16 a text's vector differs a little with the padding that its company in a pass brings.
COSINE = 0.999


def test_vectors_are_normalised_float32_in_the_order_of_the_texts(minilm: MiniLm) -> None:
    texts = ["cancel an order", "a much longer text about the weather in the mountains " * 20, "x", ""]

    vectors = minilm.embed(texts)

    assert vectors.shape == (4, DIMENSIONS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    for text, vector in zip(texts, vectors, strict=True):
        assert minilm.embed([text])[0] @ vector > COSINE


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
        assert minilm.embed([f"text number {i}"])[0] @ np.asarray(answer[0]) > COSINE


PROMPT = "Find the cheapest flight to Oslo on Friday. Then book a hotel near the harbour, and email me the receipt."
SPANS = [(0, 43), (44, 78), (79, len(PROMPT))]


def test_a_prompt_and_its_clauses_come_from_one_pass(minilm: MiniLm) -> None:
    matrix = minilm.embed_prompts([(PROMPT, SPANS)])[0]

    assert matrix.shape == (4, DIMENSIONS)
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(matrix[0], minilm.embed([PROMPT])[0])
    alone = minilm.embed([PROMPT[slice(*span)] for span in SPANS])
    likeness = matrix[1:] @ alone.T
    assert list(likeness.argmax(axis=0)) == [0, 1, 2]  # what a clause says alone is nearest to its own span


def test_the_vectors_of_a_prompt_do_not_depend_on_the_company_in_its_pass(minilm: MiniLm) -> None:
    prompts = [(PROMPT, SPANS), ("weather", [(0, 7)]), ("x " * 300, []), ("", [])]

    together = minilm.embed_prompts(prompts)

    for prompt, matrix in zip(prompts, together, strict=True):
        alone = minilm.embed_prompts([prompt])[0]
        assert float((alone * matrix).sum(axis=1).min()) > COSINE


def test_a_clause_behind_the_window_is_read_by_itself(minilm: MiniLm) -> None:
    text = "the weather is fine today " * 100 + "cancel my order"
    begin = text.index("cancel")

    tail, empty = minilm.embed_prompts([(text, [(begin, len(text)), (3, 3)])])[0][1:]

    assert tail @ minilm.embed(["cancel my order"])[0] > COSINE
    np.testing.assert_allclose(np.linalg.norm(empty), 1.0, atol=1e-5)


def test_bfloat16_stays_within_the_stated_cosine_of_float32(minilm: MiniLm) -> None:
    """The bound that `MiniLm.load` states, on any CPU: where it has no such instructions, it is only slower."""
    texts = [PROMPT, "x", "", "löschen Sie die Bestellung 4711", "GET /v1/orders/{orderId} " * 40, *PROMPT.split(". ")]
    exact, half = (MiniLm.load(threads=1, bfloat16=choice) for choice in (False, True))

    likeness = (exact.embed(texts) * half.embed(texts)).sum(axis=1)

    assert (exact.bfloat16, half.bfloat16) == (False, True)
    assert float(likeness.min()) >= COSINE


def test_a_text_of_megabytes_costs_no_more_than_its_window(minilm: MiniLm) -> None:
    huge = "cancel the order " * 1_000_000

    assert minilm.embed([huge])[0] @ minilm.embed([huge[:2_000]])[0] > COSINE

"""`python -m benchmarks.retrieval` on a tiny set and a real database: what it prints is what the product selects."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from benchmarks.retrieval import __main__ as benchmark
from benchmarks.runtime.server import Server
from models.base import JsonObject
from retrieval.embedding import MiniLm

VERBS = ("list", "create", "delete", "update", "search")
NOUNS = ("invoices", "parcels", "recipes", "flights", "tickets", "songs")
SERVICES = {"invoices": "Billing", "parcels": "Shipping", "recipes": "Kitchen", "flights": "Travel/air"}


@pytest.fixture
def tiny_set(tmp_path: Path) -> Path:
    """30 tools of six services, two of them in no group; prompts with one needed tool, two, alternatives, and none."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    tools: list[JsonObject] = [
        {
            "tool_id": f"{verb} {noun}",
            "group": SERVICES.get(noun),
            "name": f"{verb}_{noun}",
            "method": "GET" if verb in ("list", "search") else "POST",
            "path": f"/{noun}/{verb}",
            "description": f"{verb.capitalize()} {noun} of your account.",
            "parameters": [{"name": "query", "type": "STRING", "required": False, "description": ""}],
        }
        for noun in NOUNS
        for verb in VERBS
    ]
    queries: list[JsonObject] = [
        {"query_id": "one", "text": "Delete the invoices", "gold_tool_ids": ["delete invoices"], "split": "plain"},
        {
            "query_id": "two",
            "text": "Search for recipes. Then create parcels for my friends.",
            "gold_tool_ids": ["search recipes", "create parcels"],
            "split": "plain",
        },
        {
            "query_id": "any",
            "text": "Which songs are there?",
            "gold_tool_ids": ["list songs"],
            "gold_slots": [["list songs", "search songs"]],
            "split": "slots",
        },
        {"query_id": "gone", "text": "Paint my house", "gold_tool_ids": ["paint house"], "split": "slots"},
        {"query_id": "none", "text": "Hello!", "gold_tool_ids": []},
    ]
    for name, rows in (("tools.jsonl", tools), ("queries.jsonl", queries)):
        (folder / name).write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return folder


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """One document of a service that the set has, one of another, whose first operation the set has too."""
    folder = tmp_path / "documents"
    for name, paths in (("billing.com", ["/a", "/b"]), ("paint.org", ["/songs/list", "/colours", "/walls/{id}"])):
        (folder / name).mkdir(parents=True)
        document = {
            "openapi": "3.0.0",
            "info": {"title": name, "version": "1"},
            "paths": {path: {"get": {"summary": f"Look at {path}", "responses": {}}} for path in paths},
        }
        (folder / name / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """The benchmark silences its process, which here is that of all other tests."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("logging_as_before")
def test_the_benchmark_measures_what_the_product_selects(
    tiny_set: Path,
    documents: Path,
    tmp_path: Path,
    postgres_server: str,
    minilm: MiniLm,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    @contextmanager
    def server() -> Iterator[Server]:
        yield Server(postgres_server, tmp_path)

    output = tmp_path / "figures.json"
    padded = ["--pad", "32", "--pad-from", str(documents), "--baselines", "--vectors", str(tmp_path / "vectors")]
    quick = ["--rate-seconds", "0.05", "--compare-flat", "--mode", "hierarchical_rag"]
    monkeypatch.setattr(benchmark, "throw_away", server)
    monkeypatch.setattr(MiniLm, "load", lambda **_: minilm)
    monkeypatch.setattr(sys, "argv", ["retrieval", str(tiny_set), "--json", str(output), *padded, *quick])

    benchmark.main()

    printed = capsys.readouterr().out
    [result] = json.loads(output.read_text(encoding="utf-8"))["results"]
    assert (result["tools"], result["catalog"], result["prompts"]) == (30, 32, 4)
    assert (result["promptsWithoutGold"], result["promptsWithMissingGold"]) == (1, 1)
    assert result["tiers"] == {"hierarchical_rag": 4}
    ours = result["methods"]["PlanVault"]
    assert ours["plain"]["R@30"][0] == ours["plain"]["C@30"][0] == 100.0
    assert ours["slots"]["R@30"][0] == 50.0
    assert set(result["methods"]) == {
        *("PlanVault", "PlanVault, flat", "MiniLM", "BM25", "RRF", "BM25 stemmed", "RRF stemmed")
    }
    assert result["selectionsThatDoNotAddUp"] == 0
    assert result["perSecond"]["selections"] > 0
    assert result["latencyMs"]["withEmbedding"]["embed"]["p50"] > result["latencyMs"]["embeddedBefore"]["embed"]["p50"]
    assert "0.00 points below flat search" in printed
    assert "promptsWithMissingGold: 1" in printed

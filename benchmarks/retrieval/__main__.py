"""`python -m benchmarks.retrieval DIR [DIR …]`: see docs/retrieval.md, or `--help`."""

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import structlog

from benchmarks.machine import facts
from benchmarks.retrieval.padding import padding
from benchmarks.retrieval.report import as_json, grids, verdicts
from benchmarks.retrieval.run import Options, Result, measure
from benchmarks.retrieval.sets import Named, read_set
from benchmarks.retrieval.vectors import Vectors
from benchmarks.runtime.server import Server, throw_away
from models.base import JsonObject
from models.retrieval import RetrievalMode, RetrievalSettings
from retrieval.embedding import EMBEDDING_MODEL, MiniLm

_RESIDENT_MB = {"postgres": 0, "resident": 4_096, "auto": 512}
_LIBRARIES = ("torch", "sentence-transformers", "numpy", "asyncpg", "pgvector", "faiss-cpu", "PyStemmer", "wordllama")
_SAID_WHERE_THERE_ARE_ANY = (
    "promptsWithoutGold",
    "promptsWithMissingGold",
    "toolsNotImported",
    "degraded",
    "selectionsThatDoNotAddUp",
)


def main() -> None:
    arguments = _arguments()
    if arguments.markdown is not None:
        _print(json.loads(arguments.markdown.read_text(encoding="utf-8")), markdown=True)
        return
    if not arguments.folders:
        sys.exit("Name at least one folder with tools.jsonl and queries.jsonl.")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    model = MiniLm.load(threads=arguments.threads)
    report: JsonObject = {**_facts(arguments), "results": []}
    with throw_away() as server:
        report["server"] = dict(asyncio.run(server.settings()))
        for folder in arguments.folders:
            result = as_json(_measured(server, folder, model, arguments))
            results = report["results"]
            assert isinstance(results, list)
            results.append(result)
            _show(result, markdown=False)
            if arguments.json is not None:
                arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _measured(server: Server, folder: Path, model: MiniLm, arguments: argparse.Namespace) -> Result:
    tested = read_set(folder, arguments.limit)
    extra: Iterable[Named] = ()
    if arguments.pad:
        extra = padding(arguments.pad_from, arguments.pad - tested.tools, arguments.seed, tested)
    options = Options(
        seed=arguments.seed,
        shortlist=arguments.shortlist,
        mode=arguments.mode,
        flat=arguments.compare_flat,
        resident_mb=_RESIDENT_MB[arguments.index],
        baselines=arguments.baselines if arguments.baselines is not None else not arguments.pad,
        rate_s=arguments.rate_seconds,
        vectors=None if arguments.vectors is None else Vectors(arguments.vectors, EMBEDDING_MODEL),
    )

    async def run() -> Result:
        url = await server.database(f"retrieval-{folder.name}"[:60])
        return await measure(url, server.folder / "keyset.json", tested, extra, model, options)

    return asyncio.run(run())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, metavar="DIR", help="a data set of the open form")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write settings, machine facts and results there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="print such a file as Markdown; measure nothing")
    parser.add_argument("--pad", type=int, default=0, metavar="N", help="fill the catalog up to N tools")
    parser.add_argument("--pad-from", type=Path, metavar="DIR", help="folder of OpenAPI documents to pad with")
    parser.add_argument("--vectors", type=Path, metavar="DIR", help="keep embeddings of documents there for later runs")
    parser.add_argument("--index", choices=tuple(_RESIDENT_MB), default="auto", help="which index answers (auto)")
    parser.add_argument("--mode", type=RetrievalMode, choices=tuple(RetrievalMode), help="force a tier")
    parser.add_argument("--compare-flat", action="store_true", help="search without groups too, and compare")
    parser.add_argument("--baselines", action=argparse.BooleanOptionalAction, help="default: without --pad only")
    parser.add_argument("--shortlist", type=int, default=30, metavar="N", help="tools of a shortlist (30)")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N prompts of a set: for a look")
    parser.add_argument("--rate-seconds", type=float, default=10.0, metavar="S", help="of each rate (10); 0: no rates")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of the embedding model (2)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the bootstrap and the padding (0)")
    arguments = parser.parse_args()
    if arguments.pad and arguments.pad_from is None:
        parser.error("--pad needs --pad-from, a folder of OpenAPI documents")
    return arguments


def _facts(arguments: argparse.Namespace) -> JsonObject:
    given = {name: str(value) if isinstance(value, Path) else value for name, value in vars(arguments).items()}
    given["folders"] = [folder.name for folder in arguments.folders]
    return {
        "command": "python -m benchmarks.retrieval " + " ".join(sys.argv[1:]),
        "arguments": {name: value for name, value in given.items() if name not in ("json", "markdown", "vectors")},
        "machine": dict(facts()),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "model": EMBEDDING_MODEL,
        "retrieval": RetrievalSettings().model_dump(mode="json", by_alias=True),
    }


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def _print(report: JsonObject, *, markdown: bool) -> None:
    results = report["results"]
    assert isinstance(results, list)
    for result in results:
        assert isinstance(result, dict)
        _show(result, markdown=markdown)
    machine = report["machine"]
    assert isinstance(machine, dict)
    print("\n" + ", ".join(f"{name}: {value}" for name, value in machine.items()))


def _show(result: JsonObject, *, markdown: bool) -> None:
    for grid in grids(result):
        print("\n" + (grid.markdown() if markdown else grid.plain()))
    print("\n" + "\n".join(f"{'- ' if markdown else ''}{verdict}" for verdict in verdicts(result)), flush=True)
    for name in (
        "promptsWithoutGold",
        "promptsWithMissingGold",
        "toolsNotImported",
        "degraded",
        "selectionsThatDoNotAddUp",
    ):
        if result[name]:
            print(f"{name}: {result[name]}")


if __name__ == "__main__":
    main()

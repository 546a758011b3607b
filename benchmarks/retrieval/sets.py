"""A set of the open form as a user would have it: integrations with their tools, and which tool has which of its ids.

A group is one service: an integration of its own, under the alias that an upload of that title gets. What stands
behind a slash in a group's name is a tag in it (`alias/tag` is the catalog's own form). Tools without a group are one
integration, named after the set. Where the service's document lies beside the set, it is what is imported.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from benchmarks.datasets import DeclaredTool, Prompt, declared_tools, documents, drafts_of, prompts
from benchmarks.retrieval.baselines import text_of
from benchmarks.retrieval.catalog import Source
from planvault.ingestion.drafts import Extraction, ToolDraft
from planvault.ingestion.openapi import extract
from planvault.ingestion.parse import parse_spec


@dataclass(frozen=True, slots=True)
class Named:
    """A source, and for each of its drafts the id by which rankings are compared and the text of the baselines."""

    source: Source
    ids: tuple[str, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenSet:
    """`order`: the ids as the set lists them. `lost`: those that could not be imported. `unanswerable`: prompts that
    need a tool that the set does not have."""

    name: str
    sources: tuple[Named, ...]
    order: tuple[str, ...]
    prompts: tuple[Prompt, ...]
    without_gold: int
    unanswerable: int
    lost: tuple[str, ...]

    @property
    def tools(self) -> int:
        return sum(len(each.ids) for each in self.sources)


def read_set(folder: Path, limit: int | None = None) -> OpenSet:
    """`limit`: only the first so many prompts. Prompts that need no tool are left out and counted."""
    declared = declared_tools(folder)
    known = documents(folder)
    by_group: dict[str, list[DeclaredTool]] = defaultdict(list)
    for tool in declared:
        by_group[tool.group].append(tool)
    sources = [_imported(group, file, by_group.pop(group, [])) for group, file in known.items()]
    by_title: dict[str, list[DeclaredTool]] = defaultdict(list)
    for group, tools in by_group.items():
        by_title[group.partition("/")[0].strip() or folder.name] += tools
    sources += [_declared(title, tools) for title, tools in by_title.items()]
    asked = prompts(folder)[:limit]
    scored = tuple(prompt for prompt in asked if prompt.slots)
    have = {tool_id for each in sources for tool_id in each.ids}
    return OpenSet(
        name=folder.name,
        sources=tuple(sources),
        order=tuple(tool.id for tool in declared),
        prompts=scored,
        without_gold=len(asked) - len(scored),
        unanswerable=sum(any(not slot & have for slot in prompt.slots) for prompt in scored),
        lost=tuple(tool.id for tool in declared if tool.id not in have),
    )


def of_drafts(title: str, drafts: Sequence[ToolDraft], ids: Sequence[str], texts: Sequence[str]) -> Named:
    digest = sha256("\n".join(draft.model_dump_json() for draft in drafts).encode()).hexdigest()
    return Named(Source(title, Extraction(title=title, sha256=digest, drafts=tuple(drafts))), tuple(ids), tuple(texts))


def draft_text(draft: ToolDraft, group: str) -> str:
    """A draft as the baselines read it."""
    description = " ".join(filter(None, (draft.summary, draft.description)))
    return text_of(
        draft.name, group, draft.binding.method, draft.binding.path, description, [param.name for param in draft.params]
    )


def _imported(group: str, file: Path, declared: Sequence[DeclaredTool]) -> Named:
    """The service's document; its operations are the set's tools of the same method and path."""
    extraction = extract(parse_spec(file.read_text(encoding="utf-8")))
    by_route = {(tool.method, tool.path): tool for tool in declared}
    ids, texts = [], []
    for draft in extraction.drafts:
        tool = by_route.get((draft.binding.method, draft.binding.path))
        ids.append(tool.id if tool else f"{group}::{draft.binding.method} {draft.binding.path}")
        texts.append(_text(tool) if tool else draft_text(draft, group))
    return Named(Source(group, extraction), tuple(ids), tuple(texts))


def _declared(title: str, tools: Sequence[DeclaredTool]) -> Named:
    tagged = [
        draft.model_copy(update={"tag": tool.group.partition("/")[2].strip()[:80] or None})
        for draft, tool in zip(drafts_of(tools), tools, strict=True)
    ]
    return of_drafts(title, tagged, [tool.id for tool in tools], [_text(tool) for tool in tools])


def _text(tool: DeclaredTool) -> str:
    names = [param.name for param in tool.params]
    return text_of(tool.name, tool.group, tool.method, tool.path, tool.description, names)

"""Which tool of the catalog an operation is, and what it is called. Pure.

Plans and runs know a tool by its id, people by its name. Neither may hang on the order in which a document lists its
operations, nor on what other integrations are imported before or after.
"""

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from planvault.ingestion.drafts import ToolDraft
from planvault.ingestion.naming import MAX_NAME, identifier, unique
from planvault.storage.catalog_tools import KnownTool

_NUMBER = re.compile(r"_[0-9]{1,5}$")


@dataclass(frozen=True, slots=True)
class Identified:
    """An operation, its name in the organisation, and the tool that it was so far."""

    draft: ToolDraft
    name: str
    known: KnownTool | None


def identify(
    drafts: Sequence[ToolDraft], alias: str, known: Sequence[KnownTool], taken: Container[str]
) -> list[Identified]:
    """`taken`: names that other integrations hold. In the order of the drafts; every name is given once.

    1. An operation that has a tool at its method and path stays that tool under its name, as long as the name still
       says what the document says: two operations of one operationId keep their names whichever comes first.
    2. Else it is the tool of its name, wherever that is called now: a moved path costs no identity.
    3. Else it is the tool at its method and path: nor does a new operationId.
    """
    prefix = identifier(alias, "api")
    routes = _by_route(known)
    kept = _kept(drafts, routes, prefix, taken)
    names = {tool.name: tool for tool in known}
    given = {tool.name for tool in kept.values()}
    matched = {tool.id for tool in kept.values()}
    named: list[tuple[ToolDraft, str, KnownTool | None]] = []
    for position, draft in enumerate(drafts):
        tool = kept.get(position)
        if tool is None:
            name = _name(draft.name, prefix, names, taken, given)
            given.add(name)
            found = names.get(name)
            tool = found if found is not None and found.id not in matched else None
            if tool is not None:
                matched.add(tool.id)
            named.append((draft, name, tool))
        else:
            named.append((draft, tool.name, tool))
    identified = []
    for draft, name, tool in named:
        if tool is None:
            at_route = routes.get(_route(draft))
            if at_route is not None and at_route.id not in matched:
                tool = at_route
                matched.add(tool.id)
        identified.append(Identified(draft, name, tool))
    return identified


def candidates(drafts: Iterable[ToolDraft], alias: str) -> set[str]:
    """The names that `identify` asks for first: plain ones, and those with the integration's alias in front."""
    prefix = identifier(alias, "api")
    names = {draft.name for draft in drafts}
    return names | {_prefixed(prefix, name) for name in names}


def _by_route(known: Sequence[KnownTool]) -> dict[tuple[str, str], KnownTool]:
    """One tool a route; one that is offered now before one that was."""
    return {tool.route: tool for tool in sorted(known, key=lambda tool: tool.current)}


def _kept(
    drafts: Sequence[ToolDraft],
    routes: dict[tuple[str, str], KnownTool],
    prefix: str,
    taken: Container[str],
) -> dict[int, KnownTool]:
    """Position of a draft → the tool at its route, where its name still fits and nobody else holds it."""
    kept: dict[int, KnownTool] = {}
    given: set[str] = set()
    for position, draft in enumerate(drafts):
        tool = routes.get(_route(draft))
        if tool is None or tool.name in given or tool.name in taken:
            continue
        if _made_of(tool.name, draft.stem) or _made_of(tool.name, _prefixed(prefix, draft.stem)):
            kept[position] = tool
            given.add(tool.name)
    return kept


def _made_of(name: str, stem: str) -> bool:
    """Whether `unique` could have made the name of the stem: itself, or with a number behind, cut to fit."""
    number = _NUMBER.search(name)
    return name == stem or (number is not None and name == f"{stem[: MAX_NAME - len(number[0])]}{number[0]}")


def _name(wanted: str, prefix: str, known: Container[str], taken: Container[str], given: set[str]) -> str:
    """The draft's name; with the integration's prefix where another integration has it, or once had it."""
    prefixed = _prefixed(prefix, wanted)
    if wanted in taken or (wanted not in known and prefixed in known):
        wanted = prefixed
    return unique(wanted, _Either(taken, given)) if wanted in taken or wanted in given else wanted


def _prefixed(prefix: str, name: str) -> str:
    return f"{prefix}_{name}"[:MAX_NAME]


def _route(draft: ToolDraft) -> tuple[str, str]:
    return draft.binding.method, draft.binding.path


@dataclass(frozen=True, slots=True)
class _Either:
    """Two containers as one; `taken` may be one that asks a database."""

    taken: Container[str]
    given: Container[str]

    def __contains__(self, name: object) -> bool:
        return name in self.given or name in self.taken

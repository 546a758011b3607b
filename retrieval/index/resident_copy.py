"""One organisation's tools in memory, as of one revision, and the search over them. Pure: no I/O, no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.ids import IntegrationId, ToolId
from retrieval.embedding import DIMENSIONS
from retrieval.groups.routed import Routed
from retrieval.highest import highest
from retrieval.index.port import PoolLimits
from retrieval.index.resident_block import NO_GROUP, Block, Columns, Ids, Mask, ids_of, joined, kept
from retrieval.index.resident_groups import NO_GROUPS, Groups, Members
from retrieval.index.weights import weigh
from retrieval.query import IndexedTool, Matrix, Pool, Query
from retrieval.text import lexeme_id

# Vectors in one product: its result stays in the cache.
_ROWS = 4_096
_UNGROUPED = ids_of([NO_GROUP])


@dataclass(frozen=True, slots=True)
class Copy:
    """Immutable: a refresh makes the next one, which shares what has not changed.

    `alive`: for each block the rows that still count; a tool that has changed counts in a later block.
    `revisions`: of the integrations as they were read.
    """

    revision: int
    revisions: Mapping[IntegrationId, int]
    blocks: tuple[Block, ...] = ()
    alive: tuple[Mask, ...] = ()
    groups: Groups = NO_GROUPS
    tools: int = field(init=False)
    members: Members = field(init=False)
    nbytes: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", _speaking(self))
        object.__setattr__(self, "tools", sum(int(alive.sum()) for alive in self.alive))
        tools = sum(block.nbytes + len(block) for block in self.blocks)
        object.__setattr__(self, "nbytes", tools + self.groups.nbytes + self.members.nbytes)

    def refreshed(
        self, revision: int, revisions: Mapping[IntegrationId, int], changed: Columns, active: Mask, groups: Groups
    ) -> "Copy":
        """The copy as of `revision`: `changed` replaces the tools of the same ids, what is not `active` goes, and so do
        the tools and groups of integrations that `revisions` does not name. `groups` are all groups of the integrations
        whose revision is another now."""
        there = ids_of(list(revisions))
        blocks, alive = [], []
        for block, counts in zip(self.blocks, self.alive, strict=True):
            stays = counts & np.isin(block.integrations, there)[block.integration]
            stays[block.rows_of(changed.ids)] = False
            blocks.append(block)
            alive.append(stays)
        added = kept(changed, active)
        if len(added.ids):
            blocks.append(Block(added))
            alive.append(np.ones(len(added.ids), dtype=np.bool_))
        same = ids_of([each for each, stamp in self.revisions.items() if revisions.get(each) == stamp])
        grouped = self.groups.of(np.isin(self.groups.integrations, same)).joined(groups)
        return Copy(revision, revisions, *_merged(blocks, alive), grouped)


def _merged(blocks: list[Block], alive: list[Mask]) -> tuple[tuple[Block, ...], tuple[Mask, ...]]:
    """Blocks of geometrically falling sizes, of which a quarter at most is dead: a change costs the logarithm of the
    catalog's size on average, and a search visits few blocks."""
    sizes = [int(counts.sum()) for counts in alive]
    if sum(map(len, blocks)) * 3 > sum(sizes) * 4:
        first = 0
    else:
        first = len(blocks) - 1
        while first > 0 and sum(sizes[first:]) * 2 > sizes[first - 1]:
            first -= 1
    if first >= len(blocks) - 1 and all(counts.all() for counts in alive[first:]):
        return tuple(blocks), tuple(alive)
    tail = [kept(block.columns(), counts) for block, counts in zip(blocks[first:], alive[first:], strict=True)]
    tail = [columns for columns in tail if len(columns.ids)]
    merged = [Block(joined(tail))] if tail else []
    whole = [np.ones(len(block), dtype=np.bool_) for block in merged]
    return (*blocks[:first], *merged), (*alive[:first], *whole)


class View:
    """A copy through the eyes of one project: without the integrations that it has switched off."""

    def __init__(self, copy: Copy, switched_off: Sequence[IntegrationId]) -> None:
        self._copy = copy
        self._off = off = ids_of(switched_off)
        self._masks = [
            alive & ~np.isin(block.integrations, off)[block.integration] if len(off) else alive
            for block, alive in zip(copy.blocks, copy.alive, strict=True)
        ]
        self._offsets = np.cumsum([0, *map(len, copy.blocks)])

    def search(
        self, query: Query, limits: PoolLimits, groups: Sequence[UUID] | None, include: Sequence[ToolId]
    ) -> Pool:
        """As retrieval.index.port.ToolIndex.search."""
        lexical = self._lexical(query)
        mask = np.concatenate(self._masks) if self._masks else np.zeros(0, dtype=np.bool_)
        if limits.whole:
            rows = np.flatnonzero(mask)
        else:
            chosen = [self._nearest(query.vectors, groups, limits.dense), self._included(include)]
            chosen += [self._best(np.flatnonzero(mask & (column > 0)), column, limits.lexical) for column in lexical]
            rows = np.unique(np.concatenate(chosen))
            rows = rows[mask[rows]]
        return Pool(
            tools=self._tools(rows),
            dense=self._dense(rows, query.vectors),
            lexical=np.ascontiguousarray(lexical[:, rows].T),
        )

    def route(self, query: Query, top_k: int) -> Routed:
        """As retrieval.groups.router.GroupRouter.route."""
        groups = self._copy.groups
        enabled = ~np.isin(groups.integrations, self._off)
        routed = groups.nearest(query.vectors, enabled, self._copy.members, top_k)
        return replace(routed, ungrouped=sum(map(len, self._members(_UNGROUPED))))

    def producers(
        self, integrations: Sequence[IntegrationId], entities: Sequence[str], limit: int
    ) -> list[IndexedTool]:
        wanted = ids_of(integrations)
        found: dict[ToolId, IndexedTool] = {}
        for entity in entities:
            tools = [
                block.tool(row)
                for block, mask in zip(self._copy.blocks, self._masks, strict=True)
                for row in block.producers(entity).tolist()
                if mask[row] and block.integrations[block.integration[row]] in wanted
            ]
            found |= {tool.tool_id: tool for tool in sorted(tools, key=lambda tool: tool.name)[:limit]}
        return sorted(found.values(), key=lambda tool: tool.name)

    def _lexical(self, query: Query) -> Matrix:
        """BM25 of every tool, shape (parts, rows)."""
        scores = np.zeros((len(query.terms), int(self._offsets[-1])), dtype=np.float32)
        lexemes = {lexeme: lexeme_id(lexeme) for terms in query.terms for lexeme in terms}
        postings = {number: self._postings(number) for number in lexemes.values()}
        counts = {lexeme: postings[number][0] for lexeme, number in lexemes.items()}
        for part, of_part in enumerate(weigh(query.terms, counts, self._copy.tools)):
            for number, weight in of_part.by_number.items():
                for rows, impacts in postings[number][1]:
                    scores[part, rows] += impacts * np.float32(weight)
        return scores

    def _postings(self, lexeme: int) -> tuple[int, list[tuple[NDArray[np.intp], NDArray[np.float32]]]]:
        """How many of the organisation's tools hold the lexeme; rows and impacts by block."""
        holding, found = 0, []
        for block, alive, offset in zip(self._copy.blocks, self._copy.alive, self._offsets, strict=False):
            rows, impacts = block.postings(lexeme)
            if len(rows):
                holding += int(np.count_nonzero(alive[rows]))
                found.append((rows + offset, impacts))
        return holding, found

    def _nearest(self, vectors: Matrix, groups: Sequence[UUID] | None, limit: int) -> NDArray[np.intp]:
        """Rows that are among the `limit` nearest to a part, of those groups."""
        if not limit:
            return np.zeros(0, dtype=np.intp)
        among = None if groups is None else ids_of([*groups, NO_GROUP])
        searched = np.concatenate([np.zeros(0, dtype=np.intp), *self._members(among)])
        cosines = self._cosines(searched, vectors)
        nearest = [
            searched[highest(column, limit, lambda at: self._ids(searched[at]))]
            for column in np.ascontiguousarray(cosines.T)
        ]
        return np.concatenate([np.zeros(0, dtype=np.intp), *nearest])

    def _best(self, rows: NDArray[np.intp], scores: NDArray[np.float32], limit: int) -> NDArray[np.intp]:
        """Those of `rows` whose `scores` (of all rows) are the highest."""
        return rows[highest(scores[rows], limit, lambda at: self._ids(rows[at]))]

    def _members(self, groups: Ids | None) -> list[NDArray[np.intp]]:
        """Rows, by block, of the embedded tools of those groups; None: of all."""
        found = []
        for block, mask, offset in zip(self._copy.blocks, self._masks, self._offsets, strict=False):
            among = mask if block.all_embedded else mask & block.embedded
            if groups is not None:
                wanted = np.isin(block.group_ids, groups)
                among = among & wanted[block.group] if wanted.any() else np.zeros(0, dtype=np.bool_)
            found.append(np.flatnonzero(among) + offset)
        return found

    def _cosines(self, rows: NDArray[np.intp], vectors: Matrix) -> Matrix:
        """(rows, parts); `rows` ascend."""
        made = np.empty((len(rows), len(vectors)), dtype=np.float32)
        turned = np.ascontiguousarray(vectors.T)
        for block, offset in zip(self._copy.blocks, self._offsets, strict=False):
            first, last = np.searchsorted(rows, (offset, offset + len(block)))
            whole = last - first == len(block)
            for start in range(first, last, _ROWS):
                part = slice(start, min(start + _ROWS, last))
                taken = slice(part.start - first, part.stop - first) if whole else rows[part] - offset
                np.matmul(block.vectors[taken], turned, out=made[part])
        return made

    def _dense(self, rows: NDArray[np.intp], vectors: Matrix) -> Matrix:
        cosines = self._cosines(rows, vectors)
        if not all(block.all_embedded for block in self._copy.blocks):
            embedded = np.concatenate([block.embedded for block in self._copy.blocks])
            cosines[~embedded[rows]] = np.nan
        return cosines

    def _included(self, include: Sequence[ToolId]) -> NDArray[np.intp]:
        ids: Ids = ids_of(include)
        rows = [block.rows_of(ids) + offset for block, offset in zip(self._copy.blocks, self._offsets, strict=False)]
        return np.concatenate([np.zeros(0, dtype=np.intp), *rows])

    def _ids(self, rows: NDArray[np.intp]) -> Ids:
        """In the order of `rows`."""
        if len(self._copy.blocks) == 1:
            return self._copy.blocks[0].ids[rows]
        return np.concatenate([block.ids for block in self._copy.blocks])[rows]

    def _tools(self, rows: NDArray[np.intp]) -> list[IndexedTool]:
        """`rows` ascend."""
        edges = np.searchsorted(rows, self._offsets)
        parts = zip(self._copy.blocks, self._offsets, edges, edges[1:], strict=False)
        return [block.tool(row) for block, offset, first, last in parts for row in (rows[first:last] - offset).tolist()]


def _speaking(copy: Copy) -> Members:
    """The members of the groups that are not spoken for by their centroids."""
    groups = copy.groups
    speakers = np.flatnonzero(~groups.spoken_for)
    speakers = speakers[np.argsort(groups.ids[speakers])]
    wanted = groups.ids[speakers]
    places, vectors = [np.zeros(0, dtype=np.intp)], [np.zeros((0, DIMENSIONS), dtype=np.float32)]
    for block, alive in zip(copy.blocks, copy.alive, strict=True):
        among = np.isin(block.group_ids, wanted)
        rows = np.flatnonzero(alive & block.embedded & among[block.group])
        places.append(speakers[np.searchsorted(wanted, block.group_ids[block.group[rows]])])
        vectors.append(block.vectors[rows])
    return Members(np.concatenate(places), np.concatenate(vectors))

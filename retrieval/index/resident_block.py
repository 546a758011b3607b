"""Tools side by side in arrays: an immutable part of a resident copy. Pure.

Everything is laid out for one pass over all tools: vectors as one matrix, lexemes as postings (each lexeme's rows and
weights in a row), what many tools share (integration, group) as a number into a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.ids import IntegrationId, ToolId
from retrieval.query import IndexedTool, Matrix

Ids: TypeAlias = NDArray[np.bytes_]  # 16 bytes a UUID; numpy orders them as their bytes
Rows: TypeAlias = NDArray[np.int32]
Mask: TypeAlias = NDArray[np.bool_]

NO_GROUP = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Columns:
    """Tools in the order of their rows. `entries`: lexeme, row and weight of each term that a tool holds."""

    ids: Ids
    integrations: Ids
    group_ids: Ids
    versions: Rows
    names: list[str]
    groups: list[str]
    requires: list[str]  # entities, joined by \x1f
    produces: list[str]
    embedded: Mask
    vectors: Matrix  # (rows, 384), zeros where not embedded
    entry_lexemes: Rows
    entry_rows: Rows
    entry_weights: NDArray[np.float32]


def joined(parts: Sequence[Columns]) -> Columns:
    """One after the other."""
    starts = np.cumsum([0, *(len(part.ids) for part in parts)])
    rows = [part.entry_rows + np.int32(start) for part, start in zip(parts, starts, strict=False)]
    return Columns(
        ids=np.concatenate([part.ids for part in parts]),
        integrations=np.concatenate([part.integrations for part in parts]),
        group_ids=np.concatenate([part.group_ids for part in parts]),
        versions=np.concatenate([part.versions for part in parts]),
        names=[name for part in parts for name in part.names],
        groups=[group for part in parts for group in part.groups],
        requires=[entities for part in parts for entities in part.requires],
        produces=[entities for part in parts for entities in part.produces],
        embedded=np.concatenate([part.embedded for part in parts]),
        vectors=np.concatenate([part.vectors for part in parts]),
        entry_lexemes=np.concatenate([part.entry_lexemes for part in parts]),
        entry_rows=np.concatenate(rows),
        entry_weights=np.concatenate([part.entry_weights for part in parts]),
    )


def kept(columns: Columns, keep: Mask) -> Columns:
    """The rows of `keep` alone."""
    if keep.all():
        return columns
    rows = np.flatnonzero(keep).tolist()
    place = np.cumsum(keep, dtype=np.int32) - 1
    stays = keep[columns.entry_rows]
    return Columns(
        ids=columns.ids[keep],
        integrations=columns.integrations[keep],
        group_ids=columns.group_ids[keep],
        versions=columns.versions[keep],
        names=[columns.names[row] for row in rows],
        groups=[columns.groups[row] for row in rows],
        requires=[columns.requires[row] for row in rows],
        produces=[columns.produces[row] for row in rows],
        embedded=columns.embedded[keep],
        vectors=columns.vectors[keep],
        entry_lexemes=columns.entry_lexemes[stays],
        entry_rows=place[columns.entry_rows[stays]],
        entry_weights=columns.entry_weights[stays],
    )


class Block:
    """Columns with their postings and tables. What it says never changes: who reads it needs no lock."""

    def __init__(self, columns: Columns) -> None:
        order = np.argsort(columns.entry_lexemes, kind="stable")
        self._lexemes, starts = np.unique(columns.entry_lexemes[order], return_index=True)
        self._starts = np.append(starts, len(order)).astype(np.int64)
        self._rows = columns.entry_rows[order]
        self._weights = columns.entry_weights[order]
        self.ids, self.versions, self.names = columns.ids, columns.versions, columns.names
        self.vectors, self.embedded = columns.vectors, columns.embedded
        self.all_embedded = bool(columns.embedded.all())
        self._by_id = np.argsort(columns.ids).astype(np.int32)
        self.integrations, self.integration = _table(columns.integrations)
        self.group_ids, self.group = _table(columns.group_ids)
        shared: dict[str, str] = {}
        self._groups = [shared.setdefault(group, group) for group in columns.groups]
        self._requires = [shared.setdefault(entities, entities) for entities in columns.requires]
        self._produces = [shared.setdefault(entities, entities) for entities in columns.produces]
        self._producers = _producers(self._produces)
        self._integration_ids = [IntegrationId(uuid_of(value)) for value in self.integrations]
        self._tools: list[IndexedTool | None] = [None] * len(columns.ids)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        """What it holds in memory once every tool was found, Python's own overhead included (within some percent)."""
        arrays = (self._lexemes, self._starts, self._rows, self._weights, self.ids, self.versions, self.vectors)
        tables = (self.embedded, self._by_id, self.integrations, self.integration, self.group_ids, self.group)
        # A str object takes 64 bytes, a place in each of five lists 40, an IndexedTool with its UUID 200.
        texts = sum(map(len, self.names)) + 304 * len(self.names)
        shared = {
            id(text): 64 + len(text) for texts in (self._groups, self._requires, self._produces) for text in texts
        }
        producers = sum(200 + rows.nbytes for rows in self._producers.values())
        return sum(array.nbytes for array in (*arrays, *tables)) + texts + sum(shared.values()) + producers

    def postings(self, lexeme: int) -> tuple[Rows, NDArray[np.float32]]:
        """Rows of the tools that hold the lexeme, and its weight in each."""
        at = int(np.searchsorted(self._lexemes, lexeme))
        if at == len(self._lexemes) or self._lexemes[at] != lexeme:
            return self._rows[:0], self._weights[:0]
        part = slice(self._starts[at], self._starts[at + 1])
        return self._rows[part], self._weights[part]

    def rows_of(self, ids: Ids) -> Rows:
        """Rows of those tools that are in the block."""
        if not len(ids) or not len(self.ids):
            return self._by_id[:0]
        found = np.searchsorted(self.ids, ids, sorter=self._by_id)
        rows = self._by_id[np.minimum(found, len(self.ids) - 1)]
        there: Rows = rows[self.ids[rows] == ids]
        return there

    def producers(self, entity: str) -> Rows:
        return self._producers.get(entity, self._by_id[:0])

    def tool(self, row: int) -> IndexedTool:
        """Made when it is first found: half of a search's time would go into the making otherwise."""
        made = self._tools[row]
        if made is None:
            made = self._tools[row] = IndexedTool(
                tool_id=ToolId(uuid_of(self.ids[row])),
                version=int(self.versions[row]),
                name=self.names[row],
                group=self._groups[row],
                integration_id=self._integration_ids[self.integration[row]],
                requires=entities(self._requires[row]),
                produces=entities(self._produces[row]),
            )
        return made

    def columns(self) -> Columns:
        """What the block was made of."""
        return Columns(
            ids=self.ids,
            integrations=self.integrations[self.integration],
            group_ids=self.group_ids[self.group],
            versions=self.versions,
            names=self.names,
            groups=self._groups,
            requires=self._requires,
            produces=self._produces,
            embedded=self.embedded,
            vectors=self.vectors,
            entry_lexemes=np.repeat(self._lexemes, np.diff(self._starts)),
            entry_rows=self._rows,
            entry_weights=self._weights,
        )


def ids_of(uuids: Sequence[UUID]) -> Ids:
    return np.frombuffer(b"".join(uuid.bytes for uuid in uuids), dtype="S16")


def uuid_of(value: np.bytes_) -> UUID:
    """numpy drops the zeros at a value's end."""
    return UUID(bytes=bytes(value).ljust(16, b"\0"))


def entities(text: str) -> tuple[str, ...]:
    return tuple(text.split("\x1f")) if text else ()


def _table(values: Ids) -> tuple[Ids, Rows]:
    table, codes = np.unique(values, return_inverse=True)
    return table, codes.astype(np.int32)


def _producers(produces: Sequence[str]) -> dict[str, Rows]:
    found: dict[str, list[int]] = {}
    for row, text in enumerate(produces):
        for entity in entities(text):
            found.setdefault(entity, []).append(row)
    return {entity: np.array(rows, dtype=np.int32) for entity, rows in found.items()}

"""The walk over an organisation's sealed columns and event files: what old keys sealed is sealed with newer ones.

Page by page, each a statement of its own, so that it may stop anywhere. A row is changed only where it still holds what
was read: what somebody wrote meanwhile was sealed with whatever key they have, and the next walk meets it where that is
old.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import structlog

from models.ids import OrgId
from models.tenants import OrgScope
from planvault.errors import DecryptionFailed
from planvault.ports import Keyring, OrgCipher
from planvault.storage.files.reencryption import FileReencryption
from planvault.storage.pool import Pool
from planvault.storage.sealed import COLUMNS, Owner, SealedColumn
from planvault.storage.tenancy import within

_ROWS = 500  # an event may have 256 KiB
_PREFIX = 33  # format, key id, version and nonce: no two envelopes have the same
_BREATH_BYTES = 1 << 20  # sealed between two looks at what else waits in this process
_FILES = "event files"  # behind the last column
_STAGES = (*(column.name for column in COLUMNS), _FILES)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a walk stands: the column (behind them all, event files), and the key of what was looked at last."""

    column: int = 0
    after: Sequence[Any] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {"column": _STAGES[self.column], "after": list(self.after)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Position:
        """A column that this build does not know begins the walk anew."""
        if value.get("column") not in _STAGES:
            return cls()
        return cls(_STAGES.index(value["column"]), value["after"])


@dataclass(frozen=True, slots=True)
class Step:
    """One page. `position`: of the next; None: the walk has ended. `found`: rows under an old key."""

    position: Position | None
    looked_at: int = 0
    found: int = 0
    reencrypted: int = 0
    unreadable: int = 0


class Reencryption:
    """`old`: the data keys that are to be left behind. `files` None: events are rows, or their folder is elsewhere."""

    def __init__(
        self,
        pool: Pool,
        keyring: Keyring,
        org_id: OrgId,
        old: Sequence[UUID],
        *,
        files: FileReencryption | None = None,
        rows: int = _ROWS,
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._scope = OrgScope(org_id=org_id)
        self._old = list(old)
        self._files = files
        self._rows = rows

    async def step(self, position: Position) -> Step:
        if position.column == len(COLUMNS):
            return await self._step_of_files(position)
        column = COLUMNS[position.column]
        async with within(self._pool, self._scope) as connection:
            page = await connection.fetch(column.page, self._scope.org_id, self._old, list(position.after), self._rows)
        if not page:
            return Step(Position(position.column + 1))
        after = [_plain(page[-1][name]) for name in column.key]
        step = Step(replace(position, after=after), looked_at=len(page))
        found = [row for row in page if row["sealed"] is not None]
        return replace(step, found=len(found)) if not found else await self._reseal(column, found, step)

    async def _step_of_files(self, position: Position) -> Step:
        page = None if self._files is None else await self._files.page(position.after)
        if page is None:
            return Step(None)
        following = replace(position, after=page.after)
        return Step(following, page.found, page.found, page.reencrypted, page.unreadable)

    async def _reseal(self, column: SealedColumn, found: Sequence[Any], step: Step) -> Step:
        fresh: list[tuple[Any, ...]] = []
        unreadable, sealed_bytes = 0, 0
        for row in found:
            cipher = await self._cipher(column, row)
            try:
                sealed = _resealed(column, row, cipher)
            except DecryptionFailed as fault:
                unreadable += 1
                key = [str(row[name]) for name in column.key]
                _log.error("rotation.unreadable", column=column.name, row=key, cause=fault.detail)
                continue
            fresh.append((*(row[name] for name in column.key), row["sealed"][:_PREFIX], sealed))
            sealed_bytes += len(sealed)
            if sealed_bytes > _BREATH_BYTES:
                sealed_bytes = 0
                await asyncio.sleep(0)
        swapped = 0
        if fresh:
            async with within(self._pool, self._scope) as connection:
                columns = [list(values) for values in zip(*fresh, strict=True)]
                swapped = len(await connection.fetch(column.swap, self._scope.org_id, *columns))
        return replace(step, found=len(found), reencrypted=swapped, unreadable=unreadable)

    async def _cipher(self, column: SealedColumn, row: Any) -> OrgCipher:
        subject = None if column.owner is Owner.ORGANISATION else row["subject"]
        return await self._keyring.subject_cipher(self._scope.org_id, subject)


def summed(steps: Sequence[Step]) -> Step:
    """Several pages as one, which ends where the last of them does."""
    return Step(
        steps[-1].position,
        looked_at=sum(step.looked_at for step in steps),
        found=sum(step.found for step in steps),
        reencrypted=sum(step.reencrypted for step in steps),
        unreadable=sum(step.unreadable for step in steps),
    )


async def walk(reencryption: Reencryption, seen: Callable[[Step], None] = lambda step: None) -> int:
    """All columns and files once; how many values were under an old key."""
    position: Position | None = Position()
    found = 0
    while position is not None:
        step = await reencryption.step(position)
        seen(step)
        found += step.found
        position = step.position
    return found


def _resealed(column: SealedColumn, row: Any, cipher: OrgCipher) -> bytes:
    """Under the key that seals now, at the place where it opened. Raises DecryptionFailed."""
    failure = DecryptionFailed("The stored value has no place.")
    for place in column.places(row):
        try:
            return cipher.seal(cipher.open(row["sealed"], place), place)
        except DecryptionFailed as fault:
            failure = fault
    raise failure


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value

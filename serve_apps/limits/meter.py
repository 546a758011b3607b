"""Takes from buckets that all replicas share, without asking for each request.

A request is admitted on what is known here, and told to the others at once with all that came meanwhile: one statement
every `TELL_S` at most, whatever the number of requests and callers. Only who has admitted his share (a tenth of the
quota) untold waits for that statement. Two bounds follow, for N replicas, a quota of q in w seconds and any time t:

* no more than q + t·q/w + N·share(q) requests are admitted, since what was admitted too many is debt, and flows off;
* a request that is refused would have been refused by one replica alone: others only take.

While the database is away each replica limits on its own, so that the bound is N times the quota: neither open nor
shut. Shut would make a limit the part that everything hangs on, and what needs the database answers 503 by itself.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple, Protocol

import structlog

from models.rate_limits import LimitName, Quota
from planvault.storage.pool import is_away
from serve_apps.limits.bucket import Bucket

TELL_S = 0.05
FRESH_S = 1.0
"""A refusal is never told on knowledge that is older."""
_AWAY_S = (1.0, 5.0)  # first and longest pause after the database did not answer
_KEPT = 50_000

_log = structlog.get_logger(__name__)


class Rates(Protocol):
    """The shared buckets. planvault.storage.rates implements it."""

    async def take(self, weights: Mapping[bytes, float]) -> Mapping[bytes, float]:
        """Seconds to take by bucket → seconds that it is from full."""
        ...


class Wanted(NamedTuple):
    """One of what a request must fit in: `subject` is a digest of 16 bytes."""

    name: LimitName
    subject: bytes
    quota: Quota


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of the limits asked for the one with the least left; `wait_s` > 0: it refuses, and so long until it would not."""

    name: LimitName
    quota: Quota
    left: int
    wait_s: float
    full_in_s: float

    @property
    def admitted(self) -> bool:
        return self.wait_s <= 0.0

    @property
    def retry_after_s(self) -> int:
        """Whole seconds, as HTTP wants them: after these, and no earlier whole second, a request fits."""
        return max(1, math.ceil(self.wait_s))


class Meter:
    """One a process; start with `running()`."""

    def __init__(self, rates: Rates, *, elapsed: Callable[[], float] = monotonic) -> None:
        self._rates = rates
        self._elapsed = elapsed
        self._buckets: OrderedDict[bytes, Bucket] = OrderedDict()
        self._changed: dict[bytes, Bucket] = {}
        self._work = asyncio.Event()
        self._hurry = asyncio.Event()
        self._next: asyncio.Future[None] | None = None  # of the statement that is sent next
        self._away_until = -math.inf
        self._pause_s = _AWAY_S[0]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        teller = asyncio.create_task(self._tell_for_ever())
        try:
            yield
        finally:
            teller.cancel()
            await asyncio.gather(teller, return_exceptions=True)

    async def take(self, wanted: Sequence[Wanted]) -> Verdict:
        """Take one request from all of `wanted`, or from none of them. `wanted` is not empty."""
        while True:
            now = self._elapsed()
            pairs = [(one, self._bucket(one.subject)) for one in wanted]
            on_our_own = now < self._away_until
            refusing = [(one, bucket) for one, bucket in pairs if bucket.wait(one.quota, now) > 0]
            if refusing:
                if on_our_own or all(_is_fresh(bucket, now) for _, bucket in refusing):
                    return _refused(refusing, now)
                await self._tell(refusing)
            elif on_our_own or all(bucket.may_go_ahead(one.quota) for one, bucket in pairs):
                for one, bucket in pairs:
                    self._add(one.subject, bucket, one.quota.interval_s)
                return _left(pairs, now)
            else:
                await self._tell(pairs)

    def peek(self, one: Wanted) -> Verdict:
        """Whether `one` fits, as far as it is known here; nothing is taken, and nobody asked."""
        now, pairs = self._elapsed(), [(one, self._bucket(one.subject))]
        return _refused(pairs, now) if pairs[0][1].wait(one.quota, now) > 0 else _left(pairs, now)

    def charge(self, one: Wanted) -> None:
        """Take what was used already, whether or not it fits."""
        self._add(one.subject, self._bucket(one.subject), one.quota.interval_s)

    def give_back(self, one: Wanted) -> None:
        """What `take` has taken turned out not to count."""
        self._add(one.subject, self._bucket(one.subject), -one.quota.interval_s)

    def _add(self, subject: bytes, bucket: Bucket, seconds: float) -> None:
        bucket.unsent += seconds
        self._changed[subject] = bucket
        self._work.set()

    def _bucket(self, subject: bytes) -> Bucket:
        found = self._buckets.get(subject)
        if found is None:
            found = self._buckets[subject] = Bucket(as_of=self._elapsed())
            if len(self._buckets) > _KEPT:  # what is untold of the oldest is told all the same: _changed has it
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(subject)
        return found

    # ── telling the others ─────────────────────────────────────────────────────────────────────────────────────────

    async def _tell(self, pairs: Sequence[tuple[Wanted, Bucket]]) -> None:
        """Returns when these were told and read anew, by a statement that began after this; or could not be."""
        self._changed |= {one.subject: bucket for one, bucket in pairs}
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        self._work.set()
        self._hurry.set()
        await asyncio.shield(self._next)

    async def _tell_for_ever(self) -> None:
        while True:
            await self._work.wait()
            with suppress(TimeoutError):  # nobody waits: what else comes in this time goes with the same statement
                async with asyncio.timeout(TELL_S):
                    await self._hurry.wait()
            await self._tell_once()

    async def _tell_once(self) -> None:
        self._work.clear()
        self._hurry.clear()
        batch, self._changed = self._changed, {}
        waiting, self._next = self._next, None
        try:
            if self._elapsed() < self._away_until:
                self._on_our_own(batch)
            else:
                await self._exchange(batch)
        finally:
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    async def _exchange(self, batch: Mapping[bytes, Bucket]) -> None:
        for bucket in batch.values():
            bucket.sent, bucket.unsent = bucket.unsent, 0.0
        try:
            known = await self._rates.take({subject: bucket.sent for subject, bucket in batch.items()})
            answers = [known[subject] for subject in batch]
        # Whatever keeps the answer away, or is wrong with it, requests go on, and this task, which they wait for; the
        # cause is in the log, once a pause.
        except Exception as fault:  # noqa: BLE001
            _log.warning("rates.on_our_own", cause=type(fault).__name__, exc_info=None if is_away(fault) else fault)
            self._away_until = self._elapsed() + self._pause_s
            self._pause_s = min(self._pause_s * 2, _AWAY_S[1])
            self._on_our_own(batch)
            return
        self._pause_s = _AWAY_S[0]
        now = self._elapsed()
        for bucket, ahead in zip(batch.values(), answers, strict=True):
            bucket.told(ahead, now)

    def _on_our_own(self, batch: Mapping[bytes, Bucket]) -> None:
        for bucket in batch.values():
            bucket.alone(self._elapsed())


def _is_fresh(bucket: Bucket, now: float) -> bool:
    return bucket.read_at is not None and now - bucket.read_at < FRESH_S


def _refused(pairs: Sequence[tuple[Wanted, Bucket]], now: float) -> Verdict:
    """Of the limit that refuses longest."""
    one, bucket = max(pairs, key=lambda pair: pair[1].wait(pair[0].quota, now))
    return Verdict(one.name, one.quota, 0, bucket.wait(one.quota, now), bucket.ahead_at(now))


def _left(pairs: Sequence[tuple[Wanted, Bucket]], now: float) -> Verdict:
    """Of the limit with the smallest part left."""
    one, bucket = min(pairs, key=lambda pair: pair[1].left(pair[0].quota, now) / pair[0].quota.requests)
    return Verdict(one.name, one.quota, bucket.left(one.quota, now), 0.0, bucket.ahead_at(now))

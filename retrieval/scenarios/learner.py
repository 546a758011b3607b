"""Learns from ended runs and from votes on them, each exactly once.

What is to be learned stands in the database (`runs.learned`, `feedback.learned`), and is marked by the transaction that
writes what was learned: a crash before its commit leaves both as they were, and no second learner finds it again. One
that cannot be learned from is marked as well and said to be lost, so that none keeps the others waiting.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from models.ids import OrgId, RunId, ToolId
from models.retrieval import RetrievalSettings
from models.tenants import SessionScope
from planvault.errors import PlanVaultError
from planvault.ports import Embedder, Ids, Vector
from planvault.storage import lessons
from planvault.storage.history import HistoryReader
from planvault.storage.lessons import EndedRun, NewSample, OpenVote, TaughtScenario
from planvault.storage.pool import Connection, Pool, is_away
from planvault.storage.tenancy import within
from retrieval.embedding import EMBEDDING_MODEL
from retrieval.scenarios.boosts import MATCH, half_life
from retrieval.scenarios.lessons import Lesson, Outcome
from retrieval.scenarios.past_runs import lessons_of
from retrieval.scenarios.teaching import after_outcome, after_vote, concerned, same_intent

_log = structlog.get_logger(__name__)

BATCH: Final = 32
_PUT_OFF_S: Final = 60.0  # an organisation whose record cannot be read now, its keys missing for one
_MOST_SAMPLES: Final = 3  # vectors of one automatic scenario, each of another person


class ScenarioLearner:
    def __init__(
        self, pool: Pool, history: HistoryReader, embedder: Embedder, ids: Ids, *, model: str = EMBEDDING_MODEL
    ) -> None:
        self._pool = pool
        self._history = history
        self._embedder = embedder
        self._ids = ids
        self._model = model
        self._put_off: dict[OrgId, float] = {}  # until when, of the monotonic clock

    async def learn(self) -> int:
        """One batch of runs, then one of votes; how many of both. Raises what a missing database or embedder raises."""
        now = time.monotonic()
        self._put_off = {org_id: until for org_id, until in self._put_off.items() if until > now}
        runs = await lessons.ended_runs(self._pool, BATCH, self._put_off)
        found = await self._read(runs)
        vectors = await self._vectors(found)
        for run in runs:
            if run.scope.org_id not in self._put_off:
                await self._finish(run, found.get(run.id), vectors.get(run.id))
        votes = await lessons.open_votes(self._pool, BATCH)
        for vote in votes:
            await self._heed(vote)
        return len(runs) + len(votes)

    async def _read(self, runs: Sequence[EndedRun]) -> dict[RunId, Lesson | None]:
        by_session: dict[SessionScope, list[EndedRun]] = defaultdict(list)
        for run in runs:
            by_session[run.scope].append(run)
        found: dict[RunId, Lesson | None] = {}
        for scope, group in by_session.items():
            if scope.org_id in self._put_off:
                continue
            try:
                found |= await lessons_of(self._history, scope, group)
            # A record that cannot be read teaches nothing, and must not keep the runs behind it waiting for ever.
            except Exception as fault:
                if is_away(fault):
                    raise
                if _can_pass(fault):
                    self._put_off[scope.org_id] = time.monotonic() + _PUT_OFF_S
                _log.warning("scenarios.run_not_readable", session=str(scope.session_id), cause=repr(fault))
        return found

    async def _vectors(self, found: Mapping[RunId, Lesson | None]) -> dict[RunId, Vector]:
        wanted = {run_id: lesson.prompt for run_id, lesson in found.items() if lesson is not None}
        if not wanted:
            return {}
        try:
            return dict(zip(wanted, await self._embedder.embed(list(wanted.values())), strict=True))
        # One of the prompts may be to blame, and is found by asking for each.
        except Exception as fault:
            if _can_pass(fault):
                raise
            return await self._one_by_one(wanted)

    async def _one_by_one(self, wanted: Mapping[RunId, str]) -> dict[RunId, Vector]:
        await self._embedder.embed(["alive"])  # raises where it is not the prompts that are to blame
        vectors: dict[RunId, Vector] = {}
        for run_id, prompt in wanted.items():
            try:
                [vectors[run_id]] = await self._embedder.embed([prompt])
            except Exception as fault:
                if _can_pass(fault):
                    raise
                _log.exception("scenarios.prompt_not_embedded", run=str(run_id))
        return vectors

    async def _finish(self, run: EndedRun, lesson: Lesson | None, vector: Vector | None) -> None:
        try:
            await self._teach(run, lesson, vector)
        # The same here: a lesson that cannot be written is lost, and said to be.
        except Exception as fault:
            if _can_pass(fault):
                raise
            _log.exception("scenarios.lesson_lost", run=str(run.id))
            await self._teach(run, None, None)

    async def _teach(self, run: EndedRun, lesson: Lesson | None, vector: Vector | None) -> None:
        async with within(self._pool, run.scope) as connection:
            await lessons.lock(connection, run.scope)
            if not await lessons.claim_run(connection, run.scope, run.id) or lesson is None or vector is None:
                return
            known = await lessons.tool_ids(connection, run.scope, lesson.tools | lesson.used)
            if not known:
                return
            settings = await lessons.settings_of(connection, run.scope)
            used = [known[name] for name in sorted(lesson.used) if name in known]
            if lesson.outcome is Outcome.SUCCESS and used:
                await lessons.use_tools(connection, run.scope, used, run.ended_at, half_life(settings))
            await self._apply(connection, run, lesson, known, vector, settings)

    async def _apply(
        self,
        connection: Connection,
        run: EndedRun,
        lesson: Lesson,
        known: Mapping[str, ToolId],
        vector: Vector,
        settings: RetrievalSettings,
    ) -> None:
        tools = frozenset(known[name] for name in lesson.tools if name in known)
        blamed = frozenset(known[name] for name in lesson.blamed if name in known)
        if not tools or (lesson.blamed and not blamed):
            return
        near = await lessons.similar(connection, run.scope, vector, self._model, MATCH)
        shares = {each.id: (each, each.share) for each in concerned(near, lesson.outcome, tools, blamed)}
        if lesson.outcome is Outcome.SUCCESS and settings.routing_cache:
            own = await self._supported(connection, run, near, tools, vector)
            shares[own.id] = (own, 1.0)
        for scenario, share in shares.values():
            taught = after_outcome(scenario, share, lesson.outcome, run.ended_at, half_life(settings))
            tally = taught.tally
            await lessons.count(connection, run.scope, scenario.id, tally.successes, tally.failures, tally.at)
            await lessons.link(connection, run.scope, run.id, scenario.id, share)

    async def _supported(
        self,
        connection: Connection,
        run: EndedRun,
        near: Sequence[TaughtScenario],
        tools: frozenset[ToolId],
        vector: Vector,
    ) -> TaughtScenario:
        """The automatic scenario of this intent and these tools, made now where there is none."""
        own = same_intent(near, tools)
        if own is None:
            own = TaughtScenario(self._ids.new(), False, tools, 0.0, 0.0, run.ended_at, 1.0)
            await lessons.create(connection, run.scope, own.id, tools, run.ended_at)
            seen: list[bytes] = []
        else:
            seen = await lessons.subjects(connection, run.scope, own.id)
        # Erasing one person must leave what others have shown: a vector of each of the first few.
        if len(seen) < _MOST_SAMPLES and (run.subject or b"") not in seen:
            await lessons.add_sample(connection, own.id, self._ids.new(), NewSample(vector, self._model, run))
        await lessons.add_user(connection, run.scope, own.id, run.subject)
        return own

    async def _heed(self, vote: OpenVote) -> None:
        try:
            await self._count(vote)
        # As a lesson.
        except Exception as fault:
            if _can_pass(fault):
                raise
            _log.exception("scenarios.vote_lost", vote=str(vote.id))
            async with within(self._pool, vote.scope) as connection:
                await lessons.claim_vote(connection, vote.scope, vote.id)

    async def _count(self, vote: OpenVote) -> None:
        async with within(self._pool, vote.scope) as connection:
            await lessons.lock(connection, vote.scope)
            said = await lessons.claim_vote(connection, vote.scope, vote.id)
            if said is None:
                return
            life = half_life(await lessons.settings_of(connection, vote.scope))
            for scenario in await lessons.of_run(connection, vote.scope, vote.run_id):
                tally = after_vote(scenario, said, life).tally
                await lessons.count(connection, vote.scope, scenario.id, tally.successes, tally.failures, tally.at)


def _can_pass(fault: Exception) -> bool:
    return is_away(fault) or (isinstance(fault, PlanVaultError) and fault.retryable)

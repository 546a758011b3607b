"""Jobs that plans make: the Scheduling port on Postgres.

A new session inherits what decides about it from the session that scheduled it: its tags (rules may go by them), its
external user, its planner, and who asked. It does not inherit `autoApprovePlan`, and in a session that is resumed that
does not count for the prompt: it may hold what a tool answered, and tool output must not lead to steps that nobody
approved.
"""

from __future__ import annotations

from dataclasses import replace

from models.policies import SessionSettings
from models.schedules import JobTarget
from models.tenants import SessionScope
from planvault.errors import FieldError, InvalidInput, Unavailable
from planvault.ports import Keyring, Scheduled, ScheduleOrder
from planvault.scheduling.booking import Bookings
from planvault.scheduling.orders import JobOrder, Timing
from planvault.storage.pool import Pool, is_away
from planvault.storage.sessions import Sessions
from planvault.storage.tenancy import within


class PostgresScheduling:
    """Implements the Scheduling port."""

    def __init__(self, pool: Pool, keyring: Keyring, sessions: Sessions, bookings: Bookings) -> None:
        self._pool = pool
        self._keyring = keyring
        self._sessions = sessions
        self._bookings = bookings

    async def schedule(self, scope: SessionScope, order: ScheduleOrder) -> Scheduled:
        try:
            return await self._book(scope, order)
        # Which faults mean that it is away is the pool's knowledge; all others go up as they are.
        except Exception as fault:
            if not is_away(fault):
                raise
            detail = f"The database did not answer ({type(fault).__name__}): the job may have been made."
            raise Unavailable(detail) from fault

    async def _book(self, scope: SessionScope, order: ScheduleOrder) -> Scheduled:
        wanted = await self._order(scope, order)
        # Before: the transaction must not wait for a second connection.
        await self._keyring.subject_cipher(scope.org_id, wanted.external_user_hmac)
        async with within(self._pool, scope) as connection:
            booked = await self._bookings.book(connection, scope, wanted)
        return Scheduled(booked.job_id, booked.run_at)

    async def _order(self, scope: SessionScope, order: ScheduleOrder) -> JobOrder:
        common = JobOrder(
            target=order.target,
            prompt=order.prompt,
            timing=Timing(run_at=order.run_at, delay_s=order.delay_s),
            name=order.name,
            context_vars=order.context_vars,
            created_by=f"session:{scope.session_id}",
            operator=order.asked_by,
            by_plan=True,
            idempotency_key=f"call:{order.key}",
        )
        if order.target is JobTarget.RESUME_SESSION:
            if order.secrets:
                fault = FieldError("/secretNames", "the session has its secrets already")
                raise InvalidInput("The job cannot be scheduled.", errors=[fault])
            return replace(common, session_id=scope.session_id)
        parent = await self._sessions.get(scope)
        settings = SessionSettings(
            planner_mode=parent.settings.planner_mode, planner_model=parent.settings.planner_model
        )
        return replace(
            common,
            secrets=dict(order.secrets),
            tags=parent.tags,
            settings=settings,
            external_user_hmac=await self._sessions.external_user_hmac(scope),
        )

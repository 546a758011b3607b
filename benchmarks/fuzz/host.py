"""A host that answers every prompt at once, so that there is something to see on /chat, and viewers who hang up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.planning import PlanOutcome, PlanRequest
from models.plans import Lit, Plan, PlannerMode, Reply, Slot, Var
from planvault.ports import Embedder
from planvault.redact import Redactor
from planvault.settings import Settings
from planvault.storage.hints import COMMANDS
from planvault.storage.listen import listen
from planvault.wiring import open_session_runtime

SEEN_S = 0.3
"""A stream has no end of its own: a viewer that has looked at it for this long has seen enough."""


class Talker:
    """The scripted model: every second prompt is answered, the others ask for something first."""

    async def plan(self, request: PlanRequest) -> PlanOutcome:
        asks = Plan(slots=(Slot(variable="said", prompt="What?"),), body=(Reply(id="n1", expr=Var(name="said")),))
        says = Plan(body=(Reply(id="n1", expr=Lit(value="heard")),))
        plan = asks if len(request.prompt) % 2 else says
        return PlanOutcome(plan=plan, planner="fuzz", mode=PlannerMode.STRUCTURED_JSON)


@asynccontextmanager
async def working(settings: Settings, embedder: Embedder) -> AsyncIterator[None]:
    """Prompts are answered while the block lasts."""
    parts = (settings, "fuzz", Redactor(), embedder, Talker())
    async with open_session_runtime(*parts) as runtime:

        def woken(shards: str) -> None:
            runtime.wake([int(shard) for shard in shards.split(",") if shard])

        tasks = [
            asyncio.create_task(runtime.run()),
            asyncio.create_task(listen(settings.platform_url, COMMANDS, woken)),
        ]
        try:
            yield
        finally:
            await runtime.drain()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class HangsUp:
    """Ends event streams after `SEEN_S` for both sides: the application's viewer is gone, the viewer's stream ends."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].endswith("/chat"):
            await self._app(scope, receive, send)
            return
        gone = asyncio.Event()
        is_whole = False

        async def heard() -> Message:
            asked, left = asyncio.ensure_future(receive()), asyncio.ensure_future(gone.wait())
            try:
                await asyncio.wait((asked, left), return_when=asyncio.FIRST_COMPLETED)
                return asked.result() if asked.done() else {"type": "http.disconnect"}
            finally:
                asked.cancel()
                left.cancel()

        async def told(message: Message) -> None:
            nonlocal is_whole
            if is_whole or gone.is_set():
                return
            if message["type"] == "http.response.start":
                asyncio.get_running_loop().call_later(SEEN_S, gone.set)
            is_whole = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        await self._app(scope, heard, told)
        if not is_whole:
            await send({"type": "http.response.body", "body": b""})

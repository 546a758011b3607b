"""Signals that a session's runs wait for, with what a service needs to deliver them."""

from fastapi import APIRouter

from planvault.storage.signals import callback_path
from serve_apps.dependencies import Deps, InSession
from serve_apps.routes.answers import problems
from serve_apps.schemas.base import Page
from serve_apps.schemas.signals import SignalOut

router = APIRouter(prefix="/sessions/{sessionId}/signals", tags=["signals"])


@router.get("", responses=problems())
async def list_signals(scope: InSession, deps: Deps) -> Page[SignalOut]:
    """Open signals, oldest first, each with its bearer token: whoever may write to the session may deliver them."""
    await deps.sessions.get(scope)
    found = await deps.signals.waiting(scope)
    return Page[SignalOut](items=[SignalOut.of(one, callback_path(scope, one.token_id)) for one in found])

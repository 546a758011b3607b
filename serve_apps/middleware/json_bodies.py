"""JSON bodies that say one thing to every reader: I-JSON (RFC 7493) where it matters, and of bounded depth.

Parsers differ about a name that occurs twice, NaN, UTF-16: what one in front of us has checked must be what we read.
Read here once more, before the framework does; routes that take documents read theirs themselves and are passed over.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from planvault.errors import FieldError, InvalidInput
from serve_apps import problems

MAX_DEPTH = 100
_IN_A_THREAD = 64 * 1024  # bytes from which on reading takes longer than handing over
_WITH_BODIES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_JSON = re.compile(r"application/([a-z0-9.!#$&^_-]+\+)?json", re.IGNORECASE)
# A string matches up to the end of the text where nothing closes it, so that reading takes one pass whatever comes.
_MARKS = re.compile(rb'[\[\]{}]|"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


class StrictJson:
    """Behind the access gate: only whom it knows is read. `reads_itself`: paths whose route does."""

    def __init__(self, app: ASGIApp, reads_itself: Callable[[str], bool]) -> None:
        self._app = app
        self._reads_itself = reads_itself

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_json(scope) or self._reads_itself(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            text = await _read(receive)
        except HTTPException as refused:  # too large, too slow: said where a framework would catch it
            await problems.of_http(refused)(scope, receive, send)
            return
        if text is None:
            return
        fault = await asyncio.to_thread(fault_of, text) if len(text) > _IN_A_THREAD else fault_of(text)
        if fault is not None:
            await _refusal(fault)(scope, receive, send)
            return
        await self._app(scope, _again(text, receive), send)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a body is not read. `is_boundless`: no parser would hold it."""

    detail: str
    is_boundless: bool = False


def _refusal(fault: Fault) -> Response:
    if fault.is_boundless:
        return problems.of_http(HTTPException(400, f"The body {fault.detail}."))
    return problems.answer_of(InvalidInput("The body is not valid JSON.", errors=(FieldError("", fault.detail),)))


def fault_of(text: bytes) -> Fault | None:
    """Why a body is not read; None for one that is, and for none at all."""
    if not text.strip():
        return None  # whether there must be one is the route's to say
    try:
        unicode = text.decode()
    except UnicodeDecodeError as fault:
        return Fault(f"position {fault.start}: JSON is UTF-8 (RFC 8259)")
    if _is_deep(text):
        return Fault(f"nests deeper than {MAX_DEPTH} levels", is_boundless=True)
    try:
        json.loads(unicode, object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as fault:
        return Fault(f"position {fault.pos}: {fault.msg}")
    except _Refused as fault:
        return Fault(str(fault))
    except ValueError:  # the interpreter's bound on digits
        return Fault("has a number with more digits than are read", is_boundless=True)
    return None


class _Refused(Exception):
    """Says why."""


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        name = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise _Refused(f"the name {name[:100]!r} occurs twice in one object")
    return found


def _no_constant(name: str) -> object:
    raise _Refused(f"{name} is no JSON number")


def _is_deep(text: bytes) -> bool:
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for mark in _MARKS.finditer(text):
        character = text[mark.start()]
        if character in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif character in b"]}":
            depth -= 1
    return False


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None where the client has left."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def _is_json(scope: Scope) -> bool:
    media_type = Headers(scope=scope).get("content-type", "application/json").partition(";")[0].strip()
    return scope["method"] in _WITH_BODIES and _JSON.fullmatch(media_type) is not None


def _again(body: bytes, receive: Receive) -> Receive:
    given = False

    async def once_more() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once_more

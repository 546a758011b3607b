"""Opaque cursors. They say where a page starts and nothing about the tenant, whose scope comes from the key."""

import base64
import binascii
from typing import Annotated
from uuid import UUID

from fastapi import Query

from planvault.errors import FieldError, InvalidInput

Cursor = Annotated[str | None, Query(max_length=200, description="From the page before: `nextCursor`.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Entries a page.")]


def encode(position: str) -> str:
    return base64.urlsafe_b64encode(position.encode()).rstrip(b"=").decode()


def decode(cursor: str) -> str:
    """Raises InvalidInput for what `encode` did not make, and for text that Postgres has none of."""
    try:
        position = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise bad_cursor() from None
    if "\x00" in position:
        raise bad_cursor()
    return position


def decode_uuid(cursor: str | None) -> UUID | None:
    if cursor is None:
        return None
    try:
        return UUID(decode(cursor))
    except ValueError:
        raise bad_cursor() from None


def decode_number(cursor: str | None) -> int | None:
    """A place in a numbered list: a positive number of at most 64 bits."""
    if cursor is None:
        return None
    text = decode(cursor)
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise bad_cursor()
    return int(text)


def bad_cursor() -> InvalidInput:
    detail = "not a cursor of this list; start again without one"
    return InvalidInput("The cursor is not valid.", errors=(FieldError("", f"query parameter cursor: {detail}"),))

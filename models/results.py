"""Results that are too large for an event: where they lie, and what is asked of them."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field

from models.base import Frozen, JsonObject, JsonValue
from models.ids import BlobId, RunId
from models.plans import Expr
from models.tenants import SessionScope
from models.values import Value

INLINE_BYTES = 256 * 1024
"""A value of more bytes of JSON is stored as a blob; events hold a reference to it."""


class Stored(Frozen):
    """A value kept in an encrypted blob. `shape` says what it looks like: types, field names, lengths; no values."""

    blob_id: BlobId
    size: int  # bytes
    sha256: str  # hex, of those bytes
    media_type: str  # as the service named it; how the bytes are read follows from it
    shape: JsonObject = Field(default_factory=dict)


Bound: TypeAlias = "Value | Stored"
"""What a variable of a running plan holds."""


class ResultPlace(Frozen):
    """Whose a blob is. It is deleted with its session."""

    scope: SessionScope
    run_id: RunId


# ── what a ToolWorker is asked ───────────────────────────────────────────────────────────────────────────────────────


class Inspect(Frozen):
    """Read a spooled body once: is it what it says, how deep is it, what does it look like, does it echo a secret?"""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    job: Literal["inspect"] = "inspect"
    place: ResultPlace
    spooled: Stored
    max_depth: int
    secrets: bytes = b""  # JSON list of the call's secrets, sealed under the session's subkey; empty: none


class FragmentQuery(Frozen):
    """What a plan wants to know of stored values: the values of expressions over them.

    `inline`: variables that the expressions read and that are no blobs. `items_from`: the one expression is what a
    `for` goes through, and its items from this position on are wanted; more than `most_items` in all are refused.
    """

    exprs: tuple[Expr, ...]
    inline: dict[str, JsonValue] = Field(default_factory=dict)
    stored: dict[str, Stored] = Field(default_factory=dict)
    whole: bool = False  # the values go where no reference can: an argument, a condition, a reply
    items_from: int | None = None
    most_items: int = 0


class Extract(Frozen):
    job: Literal["extract"] = "extract"
    place: ResultPlace
    query: FragmentQuery


Job = Annotated[Inspect | Extract, Field(discriminator="job")]


class Inspected(Frozen):
    """The result as it may be referenced: the spooled blob, or another one that no longer echoes a secret."""

    answer: Literal["inspected"] = "inspected"
    stored: Stored


class FragmentPart(Frozen):
    """A value, or where it lies when it is too large to be handed over."""

    value: JsonValue = None
    stored: Stored | None = None


class FragmentFound(Frozen):
    """One part an expression; for a loop the next items, their number in all, and the blob that holds them all."""

    answer: Literal["found"] = "found"
    parts: tuple[FragmentPart, ...]
    total: int | None = None
    source: Stored | None = None


class FragmentRefused(Frozen):
    """The work has no result, and would have none when repeated."""

    answer: Literal["refused"] = "refused"
    code: str
    message: str


WorkerAnswer = Annotated[Inspected | FragmentFound | FragmentRefused, Field(discriminator="answer")]
FragmentAnswer = FragmentFound | FragmentRefused

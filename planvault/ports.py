"""Every Protocol that the core needs from outside. Fakes live beside their contract tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, NamedTuple, Protocol
from uuid import UUID

from models.audit import AuditRow
from models.base import JsonObject
from models.commands import Command
from models.events import Event
from models.ids import BlobId, CommandId, JobId, MessageId, OrgId, RunId, SessionId, TokenId, ToolId
from models.planning import LlmUsage, PlanOutcome, PlanRequest, Selection, SelectionOptions
from models.policies import EgressPolicy, OrgSettings, ProjectSettings, RunLimits, SessionSettings
from models.results import Extract, FragmentAnswer, FragmentRefused, Inspect, Inspected, ResultPlace
from models.runs import RunStatus
from models.schedules import JobTarget
from models.tenants import ProjectScope, SessionScope
from models.tools import IntegrationState, Tool, ToolOutcome
from models.values import Value

Vector = Sequence[float]
Span = tuple[int, int]  # of a text, in characters: begin, end (not included)


class Clock(Protocol):
    def now(self) -> datetime:
        """Wall-clock time, timezone-aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow; comparable within one process."""
        ...


class Ids(Protocol):
    def new(self) -> UUID:
        """A fresh version-7 UUID."""
        ...


# ── encryption ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Seal(NamedTuple):
    """Where a ciphertext lives. It opens nowhere else: table, row and column are bound as associated data.

    `subkey` names what the encryption key is derived for: a session (`session:{id}`) or a table (`table:{name}`).
    """

    subkey: str
    table: str
    row: str
    column: str


class OrgCipher(Protocol):
    """Encrypts under one organisation's data key; the key stays in memory, so no call waits."""

    def seal(self, plaintext: bytes, place: Seal) -> bytes: ...

    def open(self, envelope: bytes, place: Seal) -> bytes:
        """Raises DecryptionFailed where the envelope is another tenant's, another place's, or was changed."""
        ...


class Keyring(Protocol):
    async def cipher(self, org_id: OrgId) -> OrgCipher:
        """The organisation's cipher, its data key unwrapped (and made, the first time)."""
        ...

    async def session_cipher(self, scope: SessionScope) -> OrgCipher:
        """What seals a session's content: its external user's own key where it has one, else the organisation's.

        It opens what either of them sealed.
        """
        ...

    async def new_session_cipher(self, scope: SessionScope, subject: bytes | None) -> OrgCipher:
        """The same for a session whose row is being inserted. `subject`: the keyed hash of its external user."""
        ...

    async def subject_cipher(self, org_id: OrgId, subject: bytes | None) -> OrgCipher:
        """The same for what belongs to a user and no session, by the keyed hash; None: the organisation's."""
        ...


class SignalSecrets(Protocol):
    """Secrets of signals' tokens: derived from a key of the organisation, kept nowhere."""

    async def signal_secret(self, org_id: OrgId | None, token_id: TokenId) -> str:
        """43 URL-safe characters. None for the organisation of a token that nobody knows: as long in coming."""
        ...


# ── the durable record ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ShardLease:
    shard: int
    epoch: int


@dataclass(frozen=True, slots=True)
class RunRow:
    """What the `runs` read model says of a run after an append. `pending` is the open question, if any."""

    run_id: RunId
    status: RunStatus
    plan_hash: str | None
    pending: JsonObject | None
    reason: str | None
    wake_at: datetime | None = None
    message_id: MessageId | None = None  # the prompt that it answers


@dataclass(frozen=True, slots=True)
class RunWake:
    """When an open run needs its host again; None: it needs it now, or not before somebody answers."""

    run_id: RunId
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Append:
    """All that one decision writes for one session; it lands whole or not at all."""

    scope: SessionScope
    lease: ShardLease
    events: tuple[Event, ...]
    consumed: tuple[CommandId, ...] = ()
    runs: tuple[RunRow, ...] = ()
    wakes: tuple[RunWake, ...] = ()  # of runs whose row changes in nothing else
    blobs: tuple[BlobId, ...] = ()  # that the events reference: from this commit on they are no orphans
    audits: tuple[AuditRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Head:
    """A session's newest event; zeros for a session without events. `epoch` tells whose it is."""

    seq: int
    epoch: int


class EventStore(Protocol):
    async def append(self, batch: Sequence[Append]) -> frozenset[int]:
        """Write a batch in one statement; returns the shards that were still ours.

        Appends of a shard that another owner holds are dropped, the others land. Raises OutcomeUnknown where the
        database went away, Unrecordable for a payload that is no plain JSON.
        """
        ...

    async def load(self, scope: SessionScope) -> list[Event]:
        """The session's events from its newest snapshot on, in `seq` order. Raises Unavailable."""
        ...

    async def head(self, scope: SessionScope) -> Head:
        """The newest event. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class InboxEntry:
    scope: SessionScope
    command: Command


@dataclass(frozen=True, slots=True)
class UnreadableEntry:
    """A command that this build or these keys cannot read. It keeps its place: what follows in its session waits."""

    scope: SessionScope
    fault: Exception


class CommandInbox(Protocol):
    async def waiting(
        self,
        leases: Sequence[ShardLease],
        limit: int,
        known: Collection[CommandId] = (),
        avoid: Collection[SessionId] = (),
    ) -> list[InboxEntry | UnreadableEntry]:
        """Commands of these shards that no append has consumed, in order of arrival. Raises Unavailable.

        Left out: the `known`, and those of the sessions to `avoid`.
        """
        ...

    async def open_runs(self, leases: Sequence[ShardLease], now: datetime) -> list[SessionScope]:
        """Sessions of these shards with a run that goes on now: what an owner reloads after a takeover.

        Left out: runs that wait for somebody, or for a time after `now`.
        """
        ...

    async def due_runs(
        self, leases: Sequence[ShardLease], until: datetime, limit: int, avoid: Collection[SessionId] = ()
    ) -> list[SessionScope]:
        """Sessions of these shards whose run waits for a time up to `until`, the earliest first. Raises Unavailable.

        Left out: the sessions to `avoid`.
        """
        ...


class Leases(Protocol):
    """One host's view of who owns which shard."""

    async def create_shards(self, count: int) -> None: ...

    async def beat(self, *, draining: bool = False) -> bool:
        """Say that this host lives. True while all hosts of its cluster are to give their shards back."""
        ...

    async def live_hosts(self) -> list[str]: ...

    async def acquire(self, shards: Collection[int]) -> list[ShardLease]:
        """Those of `shards` that were free, or whose owner fell silent; each under a new epoch."""
        ...

    async def owned(self) -> list[ShardLease]: ...

    async def release(self, leases: Collection[ShardLease]) -> None: ...

    async def forget(self) -> None:
        """Remove this host from the living."""
        ...


# ── effects ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Embedder(Protocol):
    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """L2-normalised embeddings, one per text, in order."""
        ...

    async def embed_prompt(self, text: str, spans: Sequence[Span]) -> list[Vector]:
        """The vector of the whole text, as `embed` gives it, then one a span, as the whole text reads it."""
        ...


class ToolSelector(Protocol):
    async def select(self, scope: ProjectScope, query: str, options: SelectionOptions | None = None) -> Selection:
        """The shortlist for a prompt, under the project's settings as they stand now."""
        ...


class Catalog(Protocol):
    async def tools(self, scope: ProjectScope, ids: Sequence[tuple[ToolId, int]]) -> list[Tool]:
        """Tools at exactly these versions, in the order asked for."""
        ...

    async def binding(self, scope: ProjectScope, tool: Tool) -> CallTarget:
        """Where and how the project calls a tool now."""
        ...


class Structure(StrEnum):
    """How far a model can be held to a JSON schema. Each stage contains the ones after it."""

    JSON_SCHEMA = "json_schema"  # strict response_format
    JSON_OBJECT = "json_object"  # some JSON object
    NONE = "none"  # text


@dataclass(frozen=True, slots=True)
class LlmMessage:
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class LlmRequest:
    """One completion. `schema` is what the answer should look like, enforced as far as the model can be held to it."""

    messages: tuple[LlmMessage, ...]
    schema: JsonObject | None = None
    model: str | None = None  # None: the platform's
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class LlmAnswer:
    text: str
    model: str
    usage: LlmUsage
    truncated: bool = False  # the model ran out of tokens before it was done


class Llm(Protocol):
    async def structure(self, model: str | None = None) -> Structure:
        """What is known of a model's ability to keep to a schema. Raises LlmFailed when no model can be found."""
        ...

    async def complete(self, request: LlmRequest) -> LlmAnswer:
        """The model's answer. Sends nothing twice but to ask for less structure. Raises LlmFailed."""
        ...


class Planner(Protocol):
    async def plan(self, request: PlanRequest) -> PlanOutcome:
        """A valid plan over the request's tools, or the problems that stood in the way. Raises LlmFailed."""
        ...


@dataclass(frozen=True, slots=True)
class CallTarget:
    base_url: str
    state: IntegrationState
    egress: EgressPolicy


@dataclass(frozen=True, slots=True)
class ScheduleOrder:
    """A prompt for later, as a plan asks for it: at `run_at`, or `delay_s` seconds from now."""

    key: str  # of the step: the same order twice makes one job
    prompt: str
    target: JobTarget = JobTarget.NEW_SESSION_PROMPT  # resume_session: the session that the plan runs in
    run_at: datetime | None = None
    delay_s: float | None = None
    context_vars: JsonObject = field(default_factory=dict)
    name: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)  # name → value, for the new session
    asked_by: str = ""  # who sent the prompt of the plan that asks


@dataclass(frozen=True, slots=True)
class Scheduled:
    job_id: JobId
    run_at: datetime


class Scheduling(Protocol):
    async def schedule(self, scope: SessionScope, order: ScheduleOrder) -> Scheduled:
        """The job of this order, made now or when the same order came before.

        Raises InvalidInput that names every fault, Unavailable where nobody knows whether the job was made.
        """
        ...


SecretLookup = Callable[[str], Awaitable[str]]
"""Secret name → value; raises NotFound for a name that no level defines."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One attempt of one call, everything resolved but the secrets."""

    tool: Tool
    args: Mapping[str, Value]
    target: CallTarget
    idempotency_key: str  # hash(run, node, iteration): the same for every attempt
    attempt: int
    limits: RunLimits
    secret: SecretLookup
    place: ResultPlace | None = None  # where a result goes that is too large for the record; None: it stays in memory
    scope: SessionScope | None = None  # whose call it is; None: no session's
    asked_by: str = ""  # who sent the prompt
    masked: tuple[str, ...] = ()  # the run's other secrets: its answers are cleaned of them as well


class ToolExecutor(Protocol):
    async def execute(self, call: ToolCall) -> ToolOutcome:
        """Run the call once. Never raises for what the outside world does: that is a ToolFailed."""
        ...


class ToolWorkers(Protocol):
    """Processes that do what would hold a host's event loop up. What they do can be done again."""

    async def inspect(self, job: Inspect) -> Inspected | FragmentRefused:
        """Raises Unavailable while no worker answers."""
        ...

    async def extract(self, job: Extract) -> FragmentAnswer:
        """Raises Unavailable while no worker answers."""
        ...


class Signals(Protocol):
    """Tokens of signals as a run's host opens and closes them. Each call can be repeated. Raises Unavailable."""

    async def open(
        self, scope: SessionScope, run_id: RunId, token_id: TokenId, name: str, expires_at: datetime | None
    ) -> None:
        """Make the token known, or set the end of its wait."""
        ...

    async def close(self, scope: SessionScope, token_id: TokenId) -> bool:
        """Refuse what comes from now on. True where the signal had come before."""
        ...

    async def credential(self, scope: SessionScope, token_id: TokenId) -> str:
        """What a caller sends as its bearer token: `TOKEN_ID:SECRET`."""
        ...

    def url(self, scope: SessionScope, token_id: TokenId) -> str:
        """Where it is sent."""
        ...


class Secrets(Protocol):
    async def names(self, scope: SessionScope) -> list[str]:
        """Names a session may use: its own, its project's, its organisation's."""
        ...

    async def value(self, scope: SessionScope, name: str) -> str:
        """Session over project over organisation. Raises NotFound."""
        ...


@dataclass(frozen=True, slots=True)
class RunPolicy:
    """What organisation, project and session have decided, as it stands when a run starts."""

    project: ProjectSettings
    session: SessionSettings
    context_vars: JsonObject
    organization: OrgSettings = field(default_factory=OrgSettings)
    tags: tuple[str, ...] = ()  # of the session


class Policies(Protocol):
    async def of_run(self, scope: SessionScope) -> RunPolicy: ...

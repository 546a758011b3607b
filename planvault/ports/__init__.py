"""Every Protocol that the core needs from outside, a module a concern. Fakes live beside their contract tests."""

from planvault.ports.clock import Clock, Ids
from planvault.ports.encryption import Keyring, OrgCipher, Seal, SignalSecrets
from planvault.ports.governance import Policies, RunPolicy, Secrets
from planvault.ports.inbox import CommandInbox, InboxEntry, Leases, UnreadableEntry
from planvault.ports.planning import Llm, LlmAnswer, LlmMessage, LlmRequest, Planner, Structure
from planvault.ports.record import Append, EventStore, Head, RunRow, RunWake, ShardLease
from planvault.ports.scheduling import Scheduled, ScheduleOrder, Scheduling
from planvault.ports.selection import CallTarget, Catalog, Embedder, Span, ToolSelector, Vector
from planvault.ports.signals import Signals
from planvault.ports.tools import SecretLookup, ToolCall, ToolExecutor, ToolWorkers

__all__ = [
    "Append",
    "CallTarget",
    "Catalog",
    "Clock",
    "CommandInbox",
    "Embedder",
    "EventStore",
    "Head",
    "Ids",
    "InboxEntry",
    "Keyring",
    "Leases",
    "Llm",
    "LlmAnswer",
    "LlmMessage",
    "LlmRequest",
    "OrgCipher",
    "Planner",
    "Policies",
    "RunPolicy",
    "RunRow",
    "RunWake",
    "ScheduleOrder",
    "Scheduled",
    "Scheduling",
    "Seal",
    "SecretLookup",
    "Secrets",
    "ShardLease",
    "SignalSecrets",
    "Signals",
    "Span",
    "Structure",
    "ToolCall",
    "ToolExecutor",
    "ToolSelector",
    "ToolWorkers",
    "UnreadableEntry",
    "Vector",
]

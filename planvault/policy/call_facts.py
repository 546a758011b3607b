"""One call as the rules see it. Secrets are handles: a rule never meets their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models.base import JsonValue


@dataclass(frozen=True, slots=True)
class CallFacts:
    """`args` are the resolved parameters as JSON, `{{secrets.NAME}}` spelled out where a secret will stand."""

    tool: str
    args: Mapping[str, JsonValue]
    version: int = 1
    integration: str = ""  # alias of the integration that the tool comes from
    risk: str = "read"
    idempotency: str = "safe"
    tool_calls: int = 0  # calls of the run so far
    node_id: str = ""
    requested_by: str = ""  # who sent the prompt
    requested_signed_in: bool = False  # an issuer has signed them in; otherwise a key's holder says who it is
    tags: tuple[str, ...] = ()  # of the session

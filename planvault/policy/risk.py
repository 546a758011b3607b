"""How dangerous an operation is, and how often it may be called. Pure.

Both are derived from the HTTP method and the operation's own words, and both can be overruled in the document:

- `x-planvault-risk`: read, write, destructive, external_effect or money;
- `x-planvault-idempotency`: safe, declared, keyed or none;
- `x-planvault-idempotency-header` (also read: `x-idempotency-header`): the header that carries the key; means keyed;
- `x-planvault-approval`: always, default or auto_ok;
- `x-planvault-timeout-seconds`: 0.1 to 600.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from models.base import JsonValue
from models.tools import ApprovalPolicy, Idempotency, RiskClass

IDEMPOTENCY_HEADER = "Idempotency-Key"
DEFAULT_TIMEOUT_S = 30.0
MAX_TIMEOUT_S = 600.0

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_DESTRUCTIVE = frozenset(
    {"delete", "remove", "destroy", "purge", "erase", "wipe", "drop", "cancel", "terminate", "revoke"}
    | {"deactivate", "disable", "uninstall"}
)
_MONEY = frozenset(
    {"pay", "payment", "payments", "charge", "charges", "refund", "refunds", "payout", "payouts", "purchase"}
    | {"checkout", "withdraw", "withdrawal", "transfer", "transfers", "donate", "donation", "payroll"}
)
_EXTERNAL = frozenset(
    {"send", "sends", "email", "emails", "mail", "sms", "message", "messages", "notify", "notification"}
    | {"notifications", "publish", "broadcast", "tweet", "invite", "fax", "dial"}
)

_E = TypeVar("_E", bound=StrEnum)


def classify(method: str, text: str, extensions: Mapping[str, JsonValue] | None = None) -> RiskClass:
    """`text`: operationId, path and summary; its words decide among what a writing method may do.

    A reading method is `read` unless its name begins with a destructive verb (`GET /deleteUser` exists).
    """
    stated = _stated(extensions, "x-planvault-risk", RiskClass)
    if stated is not None:
        return stated
    words = [word.lower() for word in _WORD.findall(text)]
    if method.upper() in _READING:
        return RiskClass.DESTRUCTIVE if words and words[0] in _DESTRUCTIVE else RiskClass.READ
    found = frozenset(words)
    if method.upper() == "DELETE" or found & _DESTRUCTIVE:
        return RiskClass.DESTRUCTIVE
    if found & _MONEY:
        return RiskClass.MONEY
    if found & _EXTERNAL:
        return RiskClass.EXTERNAL_EFFECT
    return RiskClass.WRITE


def idempotency_of(method: str, extensions: Mapping[str, JsonValue] | None = None) -> Idempotency:
    """GET, HEAD and OPTIONS are safe (RFC 9110 §9.2.1); everything else starts as none."""
    stated = _stated(extensions, "x-planvault-idempotency", Idempotency)
    if stated is not None:
        return stated
    if method.upper() in _READING:
        return Idempotency.SAFE
    return Idempotency.KEYED if idempotency_header_of(extensions) else Idempotency.NONE


def idempotency_header_of(extensions: Mapping[str, JsonValue] | None) -> str | None:
    for key in ("x-planvault-idempotency-header", "x-idempotency-header"):
        value = (extensions or {}).get(key)
        if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9-]{1,64}", value):
            return value
    return None


def approval_of(extensions: Mapping[str, JsonValue] | None) -> ApprovalPolicy:
    return _stated(extensions, "x-planvault-approval", ApprovalPolicy) or ApprovalPolicy.DEFAULT


def timeout_of(extensions: Mapping[str, JsonValue] | None) -> float:
    """Seconds for one call, from the request's first byte to the answer's last."""
    value = (extensions or {}).get("x-planvault-timeout-seconds")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.1 <= value <= MAX_TIMEOUT_S:
        return DEFAULT_TIMEOUT_S
    return float(value)


def _stated(extensions: Mapping[str, JsonValue] | None, key: str, kind: type[_E]) -> _E | None:
    value = (extensions or {}).get(key)
    return next((member for member in kind if member.value == value), None)

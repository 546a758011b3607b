"""One error tree. Every error has a stable code, an HTTP status, and says whether trying again can help.

On the wire an error is `application/problem+json` (RFC 9457) with `type` = `urn:planvault:problem:CODE`. The message
says what to do next and never carries a secret or a payload.
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple


class FieldError(NamedTuple):
    """One fault of an input: `pointer` is a JSON pointer (RFC 6901) into the request body."""

    pointer: str
    detail: str


class PlanVaultError(Exception):
    """Something went wrong that we understand."""

    code: ClassVar[str] = "INTERNAL"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str = "", *, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = tuple(errors)


class InvalidInput(PlanVaultError):
    code, status, title = "VALIDATION_FAILED", 422, "The request is not valid"


class NotAuthenticated(PlanVaultError):
    code, status, title = "UNAUTHENTICATED", 401, "A valid key or token is required"


class NotAllowed(PlanVaultError):
    code, status, title = "FORBIDDEN", 403, "This key or role may not do that"


class OperatorRequired(NotAllowed):
    code, title = "OPERATOR_REQUIRED", "This decision needs the name of a person"


class SelfApproval(NotAllowed):
    code, title = "SELF_APPROVAL", "Whoever sent the prompt may not approve what its run asks"


class NotAnApprover(NotAllowed):
    code, title = "NOT_AN_APPROVER", "This person is in none of the groups that may decide"


class NotFound(PlanVaultError):
    code, status, title = "NOT_FOUND", 404, "There is no such resource in this scope"


class Conflict(PlanVaultError):
    code, status, title = "CONFLICT", 409, "The resource is not in a state that allows this"


class ToolDeleteBlockedByScenarios(Conflict):
    code, title = "TOOL_DELETE_BLOCKED_BY_SCENARIOS", "Scenarios name tools of this integration"


class RotationUnderWay(Conflict):
    code, title = "ROTATION_UNDER_WAY", "The organisation's keys are being rotated"


class ErasureUnderWay(Conflict):
    code, title = "ERASURE_UNDER_WAY", "What is held of this person, or in this project, is being erased"


class AlreadyVoted(Conflict):
    code, title = "ALREADY_VOTED", "This person has voted already"


class QuotaReached(Conflict):
    code, title = "QUOTA_REACHED", "There are as many as there may be"


class LastOwner(Conflict):
    code, title = "LAST_OWNER", "An organisation keeps at least one OWNER"


class InvitationGone(Conflict):
    code, title = "INVITATION_GONE", "The invitation was used, revoked or has expired"


class IdempotencyKeyReused(PlanVaultError):
    code, status, title = "IDEMPOTENCY_KEY_REUSED", 422, "This Idempotency-Key was used with another body"


class IdempotencyInFlight(PlanVaultError):
    code, status, title = "IDEMPOTENCY_IN_FLIGHT", 409, "A request with this Idempotency-Key is still being answered"
    retryable = True


class TooLarge(PlanVaultError):
    code, status, title = "PAYLOAD_TOO_LARGE", 413, "The payload is larger than the limit"


class RateLimited(PlanVaultError):
    code, status, title = "RATE_LIMITED", 429, "Too many requests"
    retryable = True


class Unavailable(PlanVaultError):
    code, status, title = "UNAVAILABLE", 503, "A part of the platform is not ready"
    retryable = True


class IssuerUnavailable(Unavailable):
    code, title = "ISSUER_UNAVAILABLE", "The token cannot be checked now: the identity provider does not answer"


class EgressDenied(PlanVaultError):
    code, status, title = "EGRESS_DENIED", 422, "The organisation's policy does not allow this address"


class SpecRejected(PlanVaultError):
    code, status, title = "SPEC_REJECTED", 422, "The document is not an OpenAPI or Swagger document we can import"


class LlmFailed(PlanVaultError):
    code, status, title = "LLM_FAILED", 502, "The language model did not answer"
    retryable = True


class LlmRefused(LlmFailed):
    """The model's server said no to a key, a model or a request: the same request gets the same answer."""

    retryable = False


class DecryptionFailed(PlanVaultError):
    code, title = "DECRYPTION_FAILED", "A stored value does not open under this organisation's keys"


class OwnershipLost(PlanVaultError):
    code, status, title = "OWNERSHIP_LOST", 503, "Another host owns this shard now"
    retryable = True


class OutcomeUnknown(PlanVaultError):
    """The database went away in the middle of a commit: it may have landed. Compare, never assume."""

    code, status, title = "OUTCOME_UNKNOWN", 503, "The database connection was lost during a commit"
    retryable = True


class Unrecordable(PlanVaultError):
    code, title = "UNRECORDABLE", "A value cannot be written into the record"


class RecordDamaged(PlanVaultError):
    """What the disk holds is not what was written: a backup is needed, trying again does not help."""

    code, title = "RECORD_DAMAGED", "A session's record on disk is damaged"


class SchemaTooNew(PlanVaultError):
    code, status, title = "SCHEMA_TOO_NEW", 503, "This row was written by newer code"


class BringUpFailed(PlanVaultError):
    """The platform could not start or stop. The message names the cause and the way out."""

    code, status, title = "BRING_UP_FAILED", 503, "The platform could not be brought up"

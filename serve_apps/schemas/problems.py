"""The problem document, for the OpenAPI description; serve_apps.problems writes it."""

from pydantic import Field

from serve_apps.schemas.base import Reply


class ProblemError(Reply):
    pointer: str = Field(description="JSON pointer into the request body; empty where the fault is elsewhere.")
    detail: str


class Problem(Reply):
    """RFC 9457. `type` is stable; `detail` is for people."""

    type: str = Field(examples=["urn:planvault:problem:VALIDATION_FAILED"])
    title: str
    status: int
    detail: str
    instance: str = Field(description="The request id, as in X-Request-Id.")
    errors: list[ProblemError] | None = None
    code: str | None = Field(default=None, description="Of callbacks: the end of `type` once more, for their clients.")

"""What an import makes of a document, before the catalog gives ids and versions."""

from pydantic import Field

from models.base import Frozen
from models.tools import ApprovalPolicy, HttpBinding, Idempotency, OperationReport, OutputField, RiskClass, ToolParam


class ToolDraft(Frozen):
    """One importable operation. `problems` are what was lost or guessed on the way."""

    operation: str  # `GET /orders/{orderId}`, as the document writes it
    name: str  # unique in the document
    stem: str = ""  # the name before it was made unique: what the document itself says
    tag: str | None = None
    summary: str = ""
    description: str = ""
    params: tuple[ToolParam, ...] = ()
    outputs: tuple[OutputField, ...] = ()
    binding: HttpBinding
    risk: RiskClass
    idempotency: Idempotency
    approval_policy: ApprovalPolicy = ApprovalPolicy.DEFAULT
    timeout_s: float = 30.0
    deprecated: bool = False
    problems: tuple[str, ...] = ()


class Extraction(Frozen):
    """A document's tools, its operations that cannot become tools, and findings about it as a whole."""

    title: str = ""
    server: str = ""  # absolute or relative URL, empty when the document names none
    sha256: str = Field(description="Hex, of the document's text")
    drafts: tuple[ToolDraft, ...] = ()
    skipped: tuple[OperationReport, ...] = ()
    notes: tuple[str, ...] = ()

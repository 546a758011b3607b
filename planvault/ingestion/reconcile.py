"""What a document changes: which tools are new, changed, unchanged, gone. Pure but for the ids."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from models.ids import IntegrationId, ToolId
from models.tools import ImportOutcome, Integration, OperationReport, Tool
from planvault.ingestion.drafts import ToolDraft
from planvault.ingestion.identity import Identified
from planvault.ingestion.names import Compared
from planvault.ports import Ids
from planvault.storage.catalog_tools import KnownTool
from planvault.storage.tool_index import IndexRow

_IDENTITY = {"id", "org_id", "integration_id", "version", "definition_hash"}


@dataclass(frozen=True, slots=True)
class Version:
    """What an operation becomes under the name and as the tool that `found` says."""

    found: Identified
    tool: Tool
    row: IndexRow | None = None  # of the index, where it was made already

    @property
    def is_news(self) -> bool:
        """Whether the catalog does not have it yet."""
        return self.found.known is None or self.found.known.definition_hash != self.tool.definition_hash


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What the first of an extraction's operations became when the names were not locked yet."""

    integration: Integration
    versions: Sequence[Version]

    def at(self, position: int, found: Identified, integration: Integration) -> Version | None:
        """None where it has turned out otherwise since."""
        if position >= len(self.versions) or self.versions[position].found != found:
            return None
        same = (self.integration.id, self.integration.alias) == (integration.id, integration.alias)
        return self.versions[position] if same else None


@dataclass(slots=True)
class Changes:
    """What an import writes for one integration. `replaced` get a new version, `retired` are no longer offered,
    `revived` are offered again as they were. `rows`: of the index, those of `inserted` that are there already."""

    integration_id: IntegrationId
    inserted: list[Tool] = field(default_factory=list)
    rows: dict[ToolId, IndexRow] = field(default_factory=dict)
    replaced: list[ToolId] = field(default_factory=list)
    revived: list[KnownTool] = field(default_factory=list)
    retired: list[ToolId] = field(default_factory=list)
    report: list[OperationReport] = field(default_factory=list)
    total: int = 0  # current tools afterwards

    @property
    def any(self) -> bool:
        return bool(self.inserted or self.revived or self.retired)


def reconcile(compared: Compared, identified: Sequence[Identified], ids: Ids, foreseen: Foreseen) -> Changes:
    """`identified`: the extraction's operations. What was foreseen of them is taken where it has come true."""
    integration = compared.integration
    changes = Changes(integration.id, total=len(identified))
    for position, found in enumerate(identified):
        version = foreseen.at(position, found, integration)
        _apply(changes, version_of(found, integration, ids) if version is None else version)
    matched = {found.known.id for found in identified if found.known is not None}
    for tool in compared.known:
        if tool.current and tool.id not in matched:
            changes.retired.append(tool.id)
            operation = " ".join(tool.route)[:200]
            changes.report.append(OperationReport(operation=operation, outcome=ImportOutcome.REMOVED, tool=tool.name))
    changes.report.extend(compared.extraction.skipped)
    return changes


def _apply(changes: Changes, version: Version) -> None:
    found, tool, known = version.found, version.tool, version.found.known
    outcome = ImportOutcome.UPDATED if known is not None and known.current else ImportOutcome.CREATED
    if version.is_news:
        changes.inserted.append(tool)
        if version.row is not None:
            changes.rows[tool.id] = version.row
        if known is not None:
            changes.replaced.append(tool.id)
    elif known is not None and known.current:
        outcome = ImportOutcome.UNCHANGED
    elif known is not None:
        changes.revived.append(known)
    draft = found.draft
    changes.report.append(
        OperationReport(operation=draft.operation[:200], outcome=outcome, tool=found.name, problems=draft.problems)
    )


def version_of(found: Identified, integration: Integration, ids: Ids) -> Version:
    draft, known = found.draft, found.known
    tool = Tool(
        id=known.id if known else ToolId(ids.new()),
        org_id=integration.org_id,
        integration_id=integration.id,
        version=known.version + 1 if known else 1,
        name=found.name,
        group=group_of(draft, integration),
        summary=draft.summary,
        description=draft.description,
        params=draft.params,
        outputs=draft.outputs,
        binding=draft.binding,
        risk=draft.risk,
        idempotency=draft.idempotency,
        approval_policy=draft.approval_policy,
        timeout_s=draft.timeout_s,
        deprecated=draft.deprecated,
    )
    return Version(found, tool.model_copy(update={"definition_hash": definition_hash(tool)}))


def group_of(draft: ToolDraft, integration: Integration) -> str:
    return f"{integration.alias}/{draft.tag}" if draft.tag else integration.alias


def definition_hash(tool: Tool) -> str:
    """SHA-256 (hex) of all that a tool's version stands for. Not RFC 8785: schemas may hold integers beyond 2^53."""
    definition = tool.model_dump(mode="json", exclude=_IDENTITY)
    canonical = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()

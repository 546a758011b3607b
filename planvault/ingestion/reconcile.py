"""What a document changes: which tools are new, changed, unchanged, gone. Pure but for the ids."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from models.ids import IntegrationId, ToolId
from models.tools import ImportOutcome, Integration, OperationReport, Tool
from planvault.ingestion.drafts import Extraction, ToolDraft
from planvault.ingestion.identity import Identified
from planvault.ports import Ids
from planvault.storage.catalog_tools import KnownTool

_IDENTITY = {"id", "org_id", "integration_id", "version", "definition_hash"}


@dataclass(slots=True)
class Changes:
    """What an import writes for one integration. `replaced` get a new version, `retired` are no longer offered,
    `revived` are offered again as they were."""

    integration_id: IntegrationId
    inserted: list[Tool] = field(default_factory=list)
    replaced: list[ToolId] = field(default_factory=list)
    revived: list[KnownTool] = field(default_factory=list)
    retired: list[ToolId] = field(default_factory=list)
    report: list[OperationReport] = field(default_factory=list)
    total: int = 0  # current tools afterwards

    @property
    def any(self) -> bool:
        return bool(self.inserted or self.revived or self.retired)


def reconcile(
    extraction: Extraction,
    integration: Integration,
    identified: Sequence[Identified],
    known: Sequence[KnownTool],
    ids: Ids,
) -> Changes:
    """`identified`: the extraction's drafts; `known`: the newest version of each of the integration's tools."""
    changes = Changes(integration.id, total=len(identified))
    for found in identified:
        _apply(changes, found, integration, ids)
    matched = {found.known.id for found in identified if found.known is not None}
    for tool in known:
        if tool.current and tool.id not in matched:
            changes.retired.append(tool.id)
            operation = " ".join(tool.route)[:200]
            changes.report.append(OperationReport(operation=operation, outcome=ImportOutcome.REMOVED, tool=tool.name))
    changes.report.extend(extraction.skipped)
    return changes


def _apply(changes: Changes, found: Identified, integration: Integration, ids: Ids) -> None:
    tool = _tool(found, integration, ids)
    known = found.known
    if known is None:
        outcome = ImportOutcome.CREATED
        changes.inserted.append(tool)
    elif known.definition_hash == tool.definition_hash:
        outcome = ImportOutcome.UNCHANGED
        if not known.current:
            changes.revived.append(known)
            outcome = ImportOutcome.CREATED
    else:
        outcome = ImportOutcome.UPDATED if known.current else ImportOutcome.CREATED
        changes.replaced.append(tool.id)
        changes.inserted.append(tool)
    draft = found.draft
    changes.report.append(
        OperationReport(operation=draft.operation[:200], outcome=outcome, tool=found.name, problems=draft.problems)
    )


def _tool(found: Identified, integration: Integration, ids: Ids) -> Tool:
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
    return tool.model_copy(update={"definition_hash": definition_hash(tool)})


def group_of(draft: ToolDraft, integration: Integration) -> str:
    return f"{integration.alias}/{draft.tag}" if draft.tag else integration.alias


def definition_hash(tool: Tool) -> str:
    """SHA-256 (hex) of all that a tool's version stands for. Not RFC 8785: schemas may hold integers beyond 2^53."""
    definition = tool.model_dump(mode="json", exclude=_IDENTITY)
    canonical = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()

"""Drafts against what the catalog has: which tools are new, changed, unchanged, gone. Pure but for the ids."""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from models.ids import ToolId
from models.tools import HttpBinding, ImportOutcome, Integration, OperationReport, Tool
from planvault.ingestion.drafts import Extraction, ToolDraft
from planvault.ingestion.naming import MAX_NAME, identifier, unique
from planvault.ports import Ids
from planvault.storage.catalog_tools import LatestVersion

_IDENTITY = {"id", "org_id", "integration_id", "version", "definition_hash"}


@dataclass(slots=True)
class Changes:
    """What an import writes. `retired` are no longer offered, `revived` are offered again as they were."""

    inserted: list[Tool] = field(default_factory=list)
    revived: list[Tool] = field(default_factory=list)
    retired: list[ToolId] = field(default_factory=list)
    report: list[OperationReport] = field(default_factory=list)
    total: int = 0  # current tools afterwards


def reconcile(
    extraction: Extraction,
    integration: Integration,
    known: Sequence[LatestVersion],
    taken: Collection[str],
    ids: Ids,
) -> Changes:
    """`known`: the newest version of each of the integration's tools; `taken`: names held by other integrations.

    A draft is the known tool of the same name, else the one of the same method and path, so that neither a renamed
    operationId nor a moved path costs a tool its identity.
    """
    changes = Changes(total=len(extraction.drafts))
    prefix = identifier(integration.alias, "api")
    by_name = {latest.tool.name: latest for latest in known}
    by_route = {_route(latest.tool): latest for latest in known}
    matched: set[ToolId] = set()
    given: set[str] = set()
    pending: list[tuple[ToolDraft, str, LatestVersion | None]] = []
    for draft in extraction.drafts:
        name = _name(draft.name, prefix, by_name, taken, given)
        given.add(name)
        latest = by_name.get(name)
        if latest is not None:
            matched.add(latest.tool.id)
        pending.append((draft, name, latest))
    for draft, name, latest in pending:
        if latest is None:
            found = by_route.get((draft.binding.method, draft.binding.path))
            if found is not None and found.tool.id not in matched:
                latest = found
                matched.add(found.tool.id)
        _apply(changes, draft, name, latest, integration, ids)
    for latest in known:
        if latest.current and latest.tool.id not in matched:
            changes.retired.append(latest.tool.id)
            operation = " ".join(_route(latest.tool))
            changes.report.append(
                OperationReport(operation=operation, outcome=ImportOutcome.REMOVED, tool=latest.tool.name)
            )
    changes.report.extend(extraction.skipped)
    return changes


def _name(wanted: str, prefix: str, known: Collection[str], taken: Collection[str], given: Collection[str]) -> str:
    """The draft's name; with the integration's prefix where another integration has it, or once had it."""
    prefixed = f"{prefix}_{wanted}"[:MAX_NAME]
    if wanted in taken or (prefixed in known and wanted not in known):
        wanted = prefixed
    return unique(wanted, {*taken, *given} if wanted in taken or wanted in given else ())


def _apply(
    changes: Changes, draft: ToolDraft, name: str, latest: LatestVersion | None, integration: Integration, ids: Ids
) -> None:
    tool = _tool(draft, name, latest, integration, ids)
    if latest is None:
        outcome = ImportOutcome.CREATED
        changes.inserted.append(tool)
    elif latest.tool.definition_hash == tool.definition_hash:
        outcome = ImportOutcome.UNCHANGED
        if not latest.current:
            changes.revived.append(latest.tool)
            outcome = ImportOutcome.CREATED
    else:
        outcome = ImportOutcome.UPDATED
        changes.retired.append(tool.id)  # the old version
        changes.inserted.append(tool)
    report = OperationReport(operation=draft.operation[:200], outcome=outcome, tool=name, problems=draft.problems)
    changes.report.append(report)


def _tool(draft: ToolDraft, name: str, latest: LatestVersion | None, integration: Integration, ids: Ids) -> Tool:
    tool = Tool(
        id=latest.tool.id if latest else ToolId(ids.new()),
        org_id=integration.org_id,
        integration_id=integration.id,
        version=latest.tool.version + 1 if latest else 1,
        name=name,
        group=f"{integration.alias}/{draft.tag}" if draft.tag else integration.alias,
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


def definition_hash(tool: Tool) -> str:
    """SHA-256 (hex) of all that a tool's version stands for. Not RFC 8785: schemas may hold integers beyond 2^53."""
    definition = tool.model_dump(mode="json", exclude=_IDENTITY)
    canonical = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _route(tool: Tool) -> tuple[str, str]:
    binding = tool.binding
    return (binding.method, binding.path) if isinstance(binding, HttpBinding) else ("native", binding.function)

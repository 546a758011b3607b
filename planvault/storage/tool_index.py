"""Writes of the index that selection searches: one row a tool, the lexeme counts and the revisions that go with it.

Every function that changes an organisation's index takes the lock of its row in catalog_revision and holds it until the
caller's transaction ends. So the counts stay exact under concurrent imports, revisions become visible in order, and a
copy of the index that has read up to revision N has missed nothing before it. Change the index last in a transaction.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from uuid import UUID

from pgvector import SparseVector, Vector

from models.ids import IntegrationId, OrgId, ToolId
from models.tenants import OrgScope
from planvault.errors import NotFound
from planvault.ports import Vector as Embedding
from planvault.storage.pool import Connection, Queryable
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/tool_index.sql")

# pgvector's largest dimension (SPARSEVEC_MAX_DIM): lexeme numbers are below it.
LEXEME_SPACE = 1_000_000_000
# So many lexemes of a tool, the heaviest, can be looked for apart from the others: where a word is common, the tools
# that are about it are among those that have it here. Of 4, 6, 8 and 12 the best (docs/tool-index.md).
STRONG = 6
_LONGEST_ENTITY = 256  # characters
_INCOMING = (
    "tool_id",
    "integration_id",
    "version",
    "entry_revision",
    "document_sha256",
    "name",
    "group_name",
    "impacts",
    "requires",
    "produces",
    "lexemes",
)


@dataclass(frozen=True, slots=True)
class IndexRow:
    """A tool as it is to be found. `document`: the text to embed. `lexemes`: heaviest first. `impacts`: BM25 weight by
    lexeme number.

    `entry_revision`: of the rules that made it, ≥ 1; rows of an older one are made anew (`remake`).
    """

    tool_id: ToolId
    version: int
    integration_id: IntegrationId
    name: str
    group: str
    document: str
    lexemes: Sequence[str]
    impacts: Mapping[int, float]
    requires: Sequence[str]
    produces: Sequence[str]
    entry_revision: int


@dataclass(frozen=True, slots=True)
class ToEmbed:
    """A tool whose vector is missing, of another model or of an older text."""

    tool_id: ToolId
    version: int
    document: str
    document_sha256: bytes


def term_key(org_id: OrgId, lexeme: str) -> str:
    """A lexeme as the full-text index holds it: one organisation's terms are no other's."""
    return f"{_tenant(org_id)}:{lexeme}"


def strong_key(org_id: OrgId, lexeme: str) -> str:
    """The same of a tool that it is among the STRONG first of."""
    return f"{_tenant(org_id)}!{lexeme}"


def product_key(org_id: OrgId, entity: str) -> str:
    """An entity that a tool produces, as the full-text index holds it; a lexeme of it ends at 2,046 bytes."""
    short = entity if len(entity) <= _LONGEST_ENTITY else sha256(entity.encode()).hexdigest()
    return f"{_tenant(org_id)}>{short}"


async def upsert(db: Connection, scope: OrgScope, rows: Sequence[IndexRow]) -> None:
    """Make these tools findable as they are now. A vector is kept where the tool's text is the one it was made of, and
    serves until the next is there where it is not. Needs a transaction, as all writes below do.

    Raises NotFound where an integration is not the organisation's, ValueError for a tool that is another's.
    """
    if not rows:
        return
    revision = await _incoming(db, scope, rows)
    if await _write_incoming(db, scope, revision) != len(rows):
        raise ValueError("a tool of these rows is in another organisation's index")


async def remake(db: Connection, scope: OrgScope, rows: Sequence[IndexRow]) -> None:
    """`upsert` for rows that `to_make` named, of tools that are still offered at that version: an import may have
    changed or retired them since they were read."""
    if not rows:
        return
    revision = await _incoming(db, scope, rows)
    await db.execute(_SQL["keep_what_is_to_make"], scope.org_id)
    await _write_incoming(db, scope, revision)


async def deactivate(db: Connection, scope: OrgScope, integration_id: IntegrationId, tools: Sequence[ToolId]) -> None:
    """These tools are found no more; their vectors stay for the day they come back."""
    await _set_active(db, scope, integration_id, tools, active=False)


async def reactivate(db: Connection, scope: OrgScope, integration_id: IntegrationId, tools: Sequence[ToolId]) -> None:
    """These tools are found again as they were when they were retired."""
    await _set_active(db, scope, integration_id, tools, active=True)


async def to_embed(
    db: Queryable,
    scope: OrgScope,
    integration_id: IntegrationId,
    model: str,
    limit: int,
    *,
    after: ToolId | None = None,
) -> list[ToEmbed]:
    """The next active tools, by id, without a vector of `model` and of their present text; `after` is the cursor."""
    rows = await db.fetch(_SQL["to_embed"], scope.org_id, integration_id, model, limit, after or UUID(int=0))
    return [ToEmbed(row["tool_id"], row["version"], row["document"], row["document_sha256"]) for row in rows]


async def count_to_embed(db: Queryable, scope: OrgScope, integration_id: IntegrationId, model: str) -> int:
    count: int = await db.fetchval(_SQL["count_to_embed"], scope.org_id, integration_id, model)
    return count


async def set_embeddings(
    db: Connection,
    scope: OrgScope,
    integration_id: IntegrationId,
    vectors: Sequence[tuple[ToEmbed, Embedding]],
    model: str,
) -> None:
    """Store vectors of the texts that `to_embed` gave. A tool whose text has changed since then keeps what it has."""
    if not vectors:
        return
    revision = await next_revision(db, scope, {integration_id})
    await db.execute(
        _SQL["set_embeddings"],
        scope.org_id,
        integration_id,
        model,
        revision,
        [tool.tool_id for tool, _ in vectors],
        [tool.document_sha256 for tool, _ in vectors],
        [Vector(list(vector)) for _, vector in vectors],
    )


async def set_groups(
    db: Connection, scope: OrgScope, integration_id: IntegrationId, groups: Mapping[ToolId, UUID | None]
) -> None:
    """Put tools into groups of tool_group_centroids (None: into none)."""
    if not groups:
        return
    revision = await next_revision(db, scope, {integration_id})
    await db.execute(_SQL["set_groups"], scope.org_id, integration_id, revision, list(groups), list(groups.values()))


async def next_revision(db: Connection, scope: OrgScope, integrations: set[IntegrationId]) -> int:
    """Lock the organisation's index until the transaction ends; the revision of what is changed under this lock.

    The integrations come first, as their deletion does. Others' tables that copies of the index read along (groups)
    are changed under the same lock.
    """
    await db.execute(_SQL["hold_integrations"], scope.org_id, sorted(integrations))
    revision: int = await db.fetchval(_SQL["next_revision"], scope.org_id)
    await db.execute(_SQL["mark_integrations"], scope.org_id, sorted(integrations), revision)
    return revision


async def organizations_to_make(db: Queryable, entry_revision: int) -> list[OrgId]:
    """Whose indexes hold rows that were made by rules older than `entry_revision`."""
    return [OrgId(row["org_id"]) for row in await db.fetch(_SQL["organizations_to_make"], entry_revision)]


async def to_make(db: Queryable, scope: OrgScope, entry_revision: int, limit: int) -> list[tuple[ToolId, int]]:
    """Active tools (id, version) whose rows were made by rules older than `entry_revision`."""
    rows = await db.fetch(_SQL["to_make"], scope.org_id, entry_revision, limit)
    return [(ToolId(row["tool_id"]), row["version"]) for row in rows]


async def _incoming(db: Connection, scope: OrgScope, rows: Sequence[IndexRow]) -> int:
    """Lay rows down in a table of the transaction; the revision under whose lock they may be written."""
    integrations = {row.integration_id for row in rows}
    if len(await db.fetch(_SQL["hold_integrations"], scope.org_id, sorted(integrations))) < len(integrations):
        raise NotFound("There is no such integration in this organisation.")
    revision = await next_revision(db, scope, integrations)
    await db.execute(_SQL["incoming"])
    await db.copy_records_to_table(
        "tool_index_incoming", records=[_record(scope, row) for row in rows], columns=_INCOMING
    )
    return revision


async def _write_incoming(db: Connection, scope: OrgScope, revision: int) -> int:
    """How many rows were written."""
    await db.execute(_SQL["count_incoming_lexemes"], scope.org_id)
    await db.execute(_SQL["count_incoming_tools"], scope.org_id, revision)
    written: int = await db.fetchval(_SQL["upsert_incoming"], scope.org_id, revision)
    return written


@lru_cache(maxsize=1_024)
def _tenant(org_id: OrgId) -> str:
    """Sixty-two random bits of the organisation's id, in eleven characters (migration 0010 counts on the length)."""
    return urlsafe_b64encode(org_id.bytes[8:]).decode().rstrip("=")


def _record(scope: OrgScope, row: IndexRow) -> tuple[object, ...]:
    lexemes = list(dict.fromkeys(row.lexemes))
    keys = [term_key(scope.org_id, lexeme) for lexeme in lexemes]
    keys += [strong_key(scope.org_id, lexeme) for lexeme in lexemes[:STRONG]]
    return (
        row.tool_id,
        row.integration_id,
        row.version,
        row.entry_revision,
        sha256(row.document.encode()).digest(),
        row.name,
        row.group,
        SparseVector(dict(row.impacts), LEXEME_SPACE),
        list(row.requires),
        list(row.produces),
        keys + [product_key(scope.org_id, entity) for entity in row.produces],
    )


async def _set_active(
    db: Connection, scope: OrgScope, integration_id: IntegrationId, tools: Sequence[ToolId], *, active: bool
) -> None:
    if not tools:
        return
    revision = await next_revision(db, scope, {integration_id})
    await db.execute(
        _SQL["set_active"], scope.org_id, integration_id, list(tools), active, revision, 1 if active else -1
    )

"""Who asks a pool itself works across organisations, and stands here with the reason; all others name theirs first."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cluster import bringup

ROOT: Final = Path(bringup.__file__).parents[1]
ROOMS: Final = ("planvault", "retrieval", "serve_apps", "actors", "cluster")
STATEMENTS: Final = {"fetch", "fetchrow", "fetchval", "fetchmany", "execute", "executemany", "acquire"}

ACROSS: Final = {
    "cluster/database.py": "bring-up, as the owner",
    "planvault/scheduling/dispatch.py": "one transaction sends jobs of many; each steps into its own",
    "planvault/storage/actor_leases.py": "duties of processes; no organisation's rows",
    "planvault/storage/api_keys.py": "the digest of a key says whose it is: one definer function",
    "planvault/storage/audit_anchors.py": "the caretaker signs and prunes what is due",
    "planvault/storage/blobs.py": "the caretaker sweeps orphans",
    "planvault/storage/bootstrap.py": "bring-up, as the owner",
    "planvault/storage/bulk_imports.py": "workers take the oldest job, whosever it is",
    "planvault/storage/commands.py": "NOTIFY; no rows",
    "planvault/storage/files/history.py": "heads of watched sessions: one definer function",
    "planvault/storage/files/ledger.py": "the append of many sessions",
    "planvault/storage/files/pruning.py": "the caretaker prunes by age",
    "planvault/storage/files/reencryption.py": "as pruning: only the platform may say which files count",
    "planvault/storage/files/replacing.py": "names a file of nobody's yet; no organisation's rows",
    "planvault/storage/health.py": "heartbeats of processes",
    "planvault/storage/history.py": "heads of watched sessions: one definer function",
    "planvault/storage/inbox.py": "shards hold sessions of many organisations",
    "planvault/storage/invitations.py": "the digest of a token says whose it is: one definer function",
    "planvault/storage/leases.py": "who owns which shard; no organisation's rows",
    "planvault/storage/lessons.py": "the learner finds out whose runs and votes wait",
    "planvault/storage/members.py": "where a person belongs: definer functions",
    "planvault/storage/org_deletion.py": "operators delete whole organisations; a worker purges what is due",
    "planvault/storage/organizations.py": "operators see that organisations are there",
    "planvault/storage/pool.py": "what a transaction is made of",
    "planvault/storage/privacy_claims.py": "the privacy worker takes the request that has waited longest",
    "planvault/storage/privacy_erasure.py": "shards whose appends it awaits; no organisation's rows",
    "planvault/storage/project_ends.py": "the privacy worker finds the deleted project whose week is over",
    "planvault/storage/rates.py": "counts under digests",
    "planvault/storage/retention.py": "the caretaker prunes by age",
    "planvault/storage/rewrap.py": "the operator goes from organisation to organisation",
    "planvault/storage/rotation_steps.py": "the rotator takes what is due",
    "planvault/storage/service_tokens.py": "the digest of a token says whose it is: one definer function",
    "planvault/storage/session_retention.py": "the caretaker finds aged sessions",
    "planvault/storage/session_store.py": "where events are: one definer function",
    "serve_apps/dependencies.py": "whether the database answers",
    "serve_apps/routes/callbacks.py": "the project of the path says whose token it is; the transaction is then scoped",
}


def unscoped(tree: ast.AST) -> Iterator[str]:
    """Statements on a pool, and transactions that name no organisation."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        match node.func:
            case ast.Attribute(value=asked, attr=attr) if attr in STATEMENTS and _is_pool(asked):
                yield f"{ast.unparse(asked)}.{attr} in line {node.lineno}"
            case ast.Name(id="transaction"):
                yield f"transaction in line {node.lineno}"
            case _:
                pass


def _is_pool(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.lstrip("_").endswith(("pool", "connections"))


def found() -> dict[str, list[str]]:
    files = (file for room in ROOMS for file in (ROOT / room).rglob("*.py"))
    said = {str(file.relative_to(ROOT)): list(unscoped(ast.parse(file.read_text()))) for file in files}
    return {file: where for file, where in said.items() if where}


def test_whoever_asks_a_pool_without_an_organisation_is_on_the_list() -> None:
    assert {file: where for file, where in found().items() if file not in ACROSS} == {}


def test_the_list_names_nobody_who_need_not_be_on_it() -> None:
    assert set(ACROSS) - found().keys() == set()


def test_a_forgotten_scope_is_seen() -> None:
    code = "async def f(self, pool):\n    await self._pool.fetch('')\n    async with transaction(pool): pass"
    assert len(list(unscoped(ast.parse(code)))) == 2
    assert list(unscoped(ast.parse("async def f(self):\n    await scoped(self._pool, s).fetch('')"))) == []

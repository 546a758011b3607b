"""`planvault audit` against the application behind a real HTTP server."""

import asyncio
import json
from pathlib import Path

import httpx
from typer.testing import CliRunner, Result

from cluster.credentials import Credentials, write
from planvault.cli.audit import audit
from planvault.cli.problem import ApiProblem
from planvault.errors import Unavailable
from tests.integration.serve_apps.conftest import ADMIN, ObservedDeps, Tenant
from tests.integration.serve_apps.live import serving


async def test_the_log_is_read_exported_anchored_and_verified_from_the_terminal(
    deps: ObservedDeps, tenant: Tenant, admin: httpx.AsyncClient, tmp_path: Path
) -> None:
    heads, export, held = str(tmp_path / "heads"), str(tmp_path / "log.ndjson"), tmp_path / "credentials.json"
    async with serving(deps) as url:
        place = {"org_id": str(tenant.scope.org_id), "project_id": str(tenant.scope.project_id)}
        write(held, Credentials(base_url=url, project_key=tenant.key.text, admin_token=ADMIN.text, **place))

        async def planvault(*words: str) -> Result:
            return await asyncio.to_thread(CliRunner().invoke, audit, [*words, "--credentials", str(held)])

        assert (await admin.put(f"{tenant.admin}/settings", json={})).is_success
        assert (await planvault("head", "--output", heads)).exit_code == 0
        [key] = json.loads((await planvault("keys")).stdout)
        assert len(json.loads((await planvault("keys", "--rotate", "--operator", "Ann")).stdout)) == 2
        assert (await planvault("head", "--output", heads)).exit_code == 0
        [rotated] = json.loads((await planvault("list", "--action", "AUDIT_KEY_ROTATED", "--json")).stdout)
        assert rotated["actor"].startswith("Ann (")
        assert "SETTINGS_CHANGED" in (await planvault("list")).stdout
        verified = await planvault("verify", "--head", heads, "--key", key["publicKey"])
        assert (verified.exit_code, verified.stdout) == (0, "✓ 2 rows, up to 2, 3 signed heads\n")
        assert (await planvault("export", "--output", export)).exit_code == 0
        await deps.database.execute("ALTER TABLE audit_log DISABLE TRIGGER ALL")
        await deps.database.execute("DELETE FROM audit_log WHERE org_id = $1", tenant.scope.org_id)
        cut = await planvault("verify", "--head", heads, "--key", key["publicKey"])
        assert (cut.exit_code, "TAIL_CUT" in cut.stdout) == (1, True)
        held.write_text(held.read_text().replace(ADMIN.text, "pv_admin_nobody"))
        refused = await planvault("verify")
        assert isinstance(refused.exception, ApiProblem)
        assert refused.exception.status == 401
    offline = await planvault("verify", "--file", export, "--head", heads, "--key", key["publicKey"])
    assert offline.exit_code == 0
    gone = await planvault("verify")
    assert isinstance(gone.exception, Unavailable)

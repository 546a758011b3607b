"""A deploy inside a running cluster: new hosts start, the old ones drain, leases move, runs go on; and back again."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO

import asyncpg
import httpx
import pytest
from rich.console import Console

from cluster import state
from cluster.data_dir import existing
from cluster.environment import process_environment, urls_of
from cluster.teardown import embedded_server
from planvault.cli.client import ApiClient
from planvault.cli.imports import await_import
from tests.e2e.conftest import Platform
from tests.e2e.slow_shop import slow_shop
from tests.e2e.test_recovery import begin, eventually, of_type

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.timeout(300)]

LATENCY_S = 2.0


@pytest.fixture(scope="module")
def shop(api: ApiClient) -> Iterator[str]:
    with slow_shop(LATENCY_S) as base_url:
        spec = httpx.get(f"{base_url}/openapi.json").json()
        started = api.import_spec("upgradeshop", base_url=base_url, spec=spec)
        report = await_import(api, str(started["importId"]), Console(file=StringIO()), timeout_s=120)
        assert report["status"] == "completed", report
        yield base_url
        api.delete_integration(str(started["toolId"]))


def database(platform: Platform) -> str:
    server = embedded_server(existing(platform.data_dir))
    assert server is not None
    return server.url()


def deploy(platform: Platform, build_id: str) -> None:
    """What `planvault up` does for its actors, under another build's name."""
    data = existing(platform.data_dir)
    found = state.read(data)
    assert found is not None
    environment = process_environment(
        os.environ, data, database=urls_of(database(platform), "", ""), admin_token_sha256="", metric_port=1
    )
    subprocess.run(
        [sys.executable, "-m", "cluster.start_actors", found.ray_address],
        env=environment | {"PLANVAULT_BUILD_ID": build_id},
        check=True,
        capture_output=True,
        timeout=120,
    )


def owners(platform: Platform) -> set[str]:
    """Names of the hosts that own shards, less what tells one process from the next."""

    async def ask() -> set[str]:
        connection = await asyncpg.connect(database(platform))
        try:
            rows = await connection.fetch("SELECT DISTINCT owner FROM shard_owner")
        finally:
            await connection.close()
        return {
            "" if row["owner"] is None else row["owner"][: -len("-01234567-89ab-cdef-0123-456789abcdef")]
            for row in rows
        }

    return asyncio.run(ask())


def hosts_of(build_id: str) -> set[str]:
    return {f"session-host-0-{build_id}", f"session-host-1-{build_id}"}


@pytest.mark.parametrize("build_id", ["next", "dev"])
def test_runs_go_on_through_a_deploy_and_no_effect_is_cut_off(
    platform: Platform, api: ApiClient, shop: str, build_id: str
) -> None:
    """The second deploy is a roll-back: it is the later one, whatever its build is called."""
    text = f"you have been moved to {build_id}"

    def sent() -> int:
        items = httpx.get(f"{shop}/notifications").json()["items"]
        return sum(item["message"] == text for item in items)

    reading = begin(api, "show customer 1 and then show customer 2 and then show customer 3 and then show customer 4")
    sending = begin(api, f'send notification to customer 2 by email with message "{text}"')
    for session in (reading, sending):
        eventually(lambda session=session: bool(of_type(api.history(session), "tool_start")), "a call on the wire")
    deploy(platform, build_id)
    for session in (reading, sending):
        eventually(lambda session=session: bool(of_type(api.history(session), "done")), "the end of the run")
        [done] = of_type(api.history(session), "done")
        assert done["status"] == "completed", api.history(session)
    assert sent() == 1
    eventually(lambda: owners(platform) == hosts_of(build_id), "the move of all shards")
    after = begin(api, "show customer 4")
    eventually(lambda: bool(of_type(api.history(after), "done")), "a run on the new hosts")

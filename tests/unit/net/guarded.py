"""A guarded client that may reach this machine, and one request of it."""

from collections.abc import AsyncIterator

import pytest

from models.policies import EgressPolicy
from planvault.net.client import GuardedHttp

LOCAL = EgressPolicy(allow_loopback=True)


@pytest.fixture
async def http() -> AsyncIterator[GuardedHttp]:
    client = GuardedHttp()
    yield client
    await client.aclose()


async def get(client: GuardedHttp, url: str, policy: EgressPolicy = LOCAL, **more: object) -> tuple[int, bytes]:
    async with client.stream("GET", url, policy=policy, **more) as answer:  # type: ignore[arg-type]
        return answer.status_code, await answer.aread()

"""The same faults through Ray: the actor's process kills itself at the boundary, and Ray starts it again."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from actors import classes
from actors.classes import RayFleet
from tests.faults.bench import SHARDS, Bench
from tests.faults.boundaries import Action
from tests.faults.expectation import undisturbed
from tests.faults.judging import faults_of_kill
from tests.faults.processes import Service
from tests.faults.ray_host import faulty_kind, living
from tests.faults.test_matrix import SEED

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

NAME = "session-host-0-faults"
QUICK, MANY = 2, 16


@pytest.fixture
def fleet(
    local_ray: None, monkeypatch: pytest.MonkeyPatch, database_url: str, keyset: Path, service: Service
) -> Iterator[RayFleet]:
    environment = {
        "DATABASE_URL": database_url,
        "PLANVAULT_KEYSET_PATH": str(keyset),
        "PLANVAULT_SHARDS": str(SHARDS),
        "PLANVAULT_LEASE_SECONDS": "2",
        "PLANVAULT_BUILD_ID": "faults",
        "PLANVAULT_EGRESS_ALLOW_LOOPBACK": "true",
    }
    monkeypatch.setitem(classes._KINDS, "SessionHost", faulty_kind(environment, service.counter))
    yield RayFleet("supervisor-faults", drain_s=5.0)
    for found in ray.util.list_named_actors(all_namespaces=True):
        ray.kill(ray.get_actor(found["name"], namespace=found["namespace"]), no_restart=True)


@pytest.mark.parametrize("share", [QUICK, pytest.param(MANY, marks=pytest.mark.faults)])
async def test_an_actor_killed_at_some_boundaries_loses_and_repeats_nothing(
    bench: Bench, fleet: RayFleet, share: int
) -> None:
    whole = await bench.play("everything")
    story = undisturbed(whole.trace)
    await bench.dismiss()
    boundaries = random.Random(f"{SEED} ray").sample(list(story.boundaries()), share)
    for boundary in boundaries:
        host = await living(fleet, NAME)
        act = await bench.begin("everything", boundary, Action.KILL, host)
        await act.dies()
        played = await act.end(others=False)
        assert await faults_of_kill(bench, whole, story, played) == [], f"{boundary} (seed {SEED})"

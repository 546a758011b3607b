"""One small Ray of this test run's own."""

import os
from collections.abc import Iterator

import pytest
import ray

from actors.classes import NAMESPACE


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init("local", include_dashboard=False, num_cpus=2, namespace=NAMESPACE, log_to_driver=False)
    yield
    ray.shutdown()

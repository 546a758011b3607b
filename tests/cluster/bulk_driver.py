"""`cluster.jobs.driver` on a Ray whose workers were started without this test's database."""

import os
import sys
from functools import partial

import ray

from cluster.jobs import driver

if __name__ == "__main__":
    environment = {name: os.environ[name] for name in ("DATABASE_URL", "OMP_NUM_THREADS")}
    ray.init = partial(ray.init, runtime_env={"env_vars": environment})
    sys.exit(driver.main(sys.argv[1]))

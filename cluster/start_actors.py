"""`python -m cluster.start_actors ADDRESS`: the driver that starts the platform's detached actors, and ends.

A process of its own: a driver keeps Ray's threads and settings for life, and `planvault up` needs neither.
Exit status 0, or 1 with the reason as the last line of stderr.
"""

import logging
import sys

import ray

from actors.classes import start_platform_actors
from cluster.topology import NAMESPACE
from planvault.errors import PlanVaultError
from planvault.settings import Settings


def main(address: str) -> int:
    ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    try:
        start_platform_actors(Settings(), bulk_import=("-m", "cluster.jobs.driver"))
    except PlanVaultError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the parent reads it
        return 1
    finally:
        ray.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

"""`python -m cluster.jobs.driver ADDRESS`: the Ray driver of one bulk import, which comes on standard input.

A driver, and not a task: tasks of a detached actor belong to the job of whoever started the actors, which has ended,
and Ray ends such a job's workers after each task. When this process ends, however, Ray ends all that it has started.
It ends itself when standard input closes: then nobody holds the job's lease.
"""

import logging
import os
import sys
import threading

import ray
import structlog
from ray.exceptions import RayError

from actors.job_process import loaded
from cluster.jobs.bulk_import import import_all
from cluster.topology import NAMESPACE

_log = structlog.get_logger(__name__)


def main(address: str) -> int:
    claim = loaded(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    try:
        import_all(claim)
    except RayError:
        _log.exception("bulk_import.interrupted", import_id=str(claim.id))
        return 1
    finally:
        ray.shutdown()
    return 0


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

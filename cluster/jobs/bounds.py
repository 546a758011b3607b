"""How much of the machine a pipeline may take, and how quietly. A pipeline shares it with the running platform."""

import logging
import os
from dataclasses import dataclass
from typing import TypeAlias

import ray
from ray.data import DataContext, ExecutionOptions, ExecutionResources

# Share of Ray's object store that a pipeline's blocks may fill; they are small, since documents travel compressed.
_STORE_SHARE = 0.5
_MIB = 1024 * 1024

Resources: TypeAlias = dict[str, float]


@dataclass(frozen=True, slots=True)
class Bounds:
    """`workers`: processes that compute at a time. `cpus`: what each of them reserves, of those that are free.

    Ray's CPUs only place processes: the platform's own parts reserve small fractions and use more, and so do these.
    """

    workers: int
    cpus: float

    @classmethod
    def of_cluster(cls) -> "Bounds":
        cluster: Resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        available: Resources = ray.available_resources()  # type: ignore[no-untyped-call]
        workers = max(1, int(cluster.get("CPU", os.cpu_count() or 1)))
        free = available.get("CPU", 0.0)
        # Readers, computing actors and writers all have to find a place, with the least that leaves room for others.
        return cls(workers, round(max(min(0.25, free / (3 * workers)), 0.01), 2))


def bound(bounds: Bounds) -> None:
    """Set the limits of every pipeline that this process runs."""
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.enable_operator_progress_bars = False
    context.print_on_execution_start = False
    context.enable_auto_log_stats = False
    context.use_ray_tqdm = False
    context.target_max_block_size = 16 * _MIB
    # Documents are stored in the order of their paths: names that several claim go to the same one each time.
    options = ExecutionOptions(preserve_order=True)
    cluster: Resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
    store = cluster.get("object_store_memory", 100 * _MIB)
    options.resource_limits = ExecutionResources.for_limits(
        cpu=3 * bounds.workers * bounds.cpus + 0.01, object_store_memory=store * _STORE_SHARE
    )
    context.execution_options = options

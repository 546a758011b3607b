"""A bulk import as a Ray task: what the catalog workers are handed.

Apart from the pipelines, which it imports when it runs: the processes that only pass it on have no use for pandas,
Arrow and Ray Data (120 MB and a second each).
"""

import ray

from planvault.storage.bulk_imports import ClaimedJob


def bulk_import(claim: ClaimedJob) -> None:
    from cluster.jobs.bulk_import import import_all

    import_all(claim)


# A process of its own for each: what a job's pipelines take is given back at its end. Ray repeats nothing: the job's
# lease says who goes on with it.
run_bulk_import = ray.remote(num_cpus=0, max_retries=0, max_calls=1)(bulk_import)

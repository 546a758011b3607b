"""The environment of every process of the platform: set once, before Ray starts, and inherited by all of them."""

from collections.abc import Mapping

from cluster.data_dir import DataDir

# Read by Ray's workers before they run anything (ray._private.ray_constants.WORKER_PROCESS_SETUP_HOOK_ENV_VAR): what
# `worker_process_setup_hook` of a runtime environment sets, without an environment to build for each job.
_WORKER_HOOK = "__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR"

QUIET: Mapping[str, str] = {
    # Nothing phones home.
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9/",  # where it would report that it is off
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    # Two cores are shared by everything: no library takes a thread pool for each.
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}

RAY: Mapping[str, str] = {
    # Under `uv run`, Ray would start its workers through uv again.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # Ray replaces a loopback node address by the machine's own, unless it is told that there will be no other node.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_START_HOOK": "cluster.loopback.before_start",
    # Serve's proxy obeys headers of any client and adds a request id of its own: the API's first layer stands there
    # too, in front of it.
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_apps.middleware.proxy_middlewares",
    # Its server believes X-Forwarded-For of whoever connects from this machine; whom we believe is a setting of ours.
    "FORWARDED_ALLOW_IPS": "",
    _WORKER_HOOK: "cluster.loopback.bind_serve",
    # Its ports 8404 and 9101 bind every interface; production puts it behind a network policy (ray-cluster.yaml).
    "RAY_SERVE_ENABLE_HA_PROXY": "0",
    "RAY_ROTATION_MAX_BYTES": str(16 * 1024 * 1024),
    "RAY_ROTATION_BACKUP_COUNT": "2",
    "RAY_COLOR_PREFIX": "0",
    "RAY_DEDUP_LOGS": "0",
}


# Everything runs on the operator's own machine: services beside it may be opened by its organisations' settings. Not
# once people sign in: then it serves others than who started it.
ONE_MACHINE: Mapping[str, str] = {"PLANVAULT_EGRESS_ALLOW_LOOPBACK": "true", "PLANVAULT_EGRESS_ALLOW_PRIVATE": "true"}


def process_environment(
    inherited: Mapping[str, str],
    data: DataDir,
    *,
    database: Mapping[str, str],
    admin_token_sha256: str,
    metric_port: int,
) -> dict[str, str]:
    """What Ray and all its workers run with: the caller's environment and ours over it.

    `database`: where the processes find it, as `urls_of` says.
    """
    cleaned = {name: value for name, value in inherited.items() if name not in _FOREIGN}
    return {
        **({} if cleaned.get("PLANVAULT_OIDC_ISSUER") else ONE_MACHINE),
        **cleaned,
        **QUIET,
        **RAY,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(data.ray_token),
        "DASHBOARD_METRIC_PORT": str(metric_port),
        "PLANVAULT_DATA_DIR": str(data.root),
        "PLANVAULT_ADMIN_TOKEN_SHA256": admin_token_sha256,
        **database,
    }


def urls_of(owner: str, app: str, platform: str) -> dict[str, str]:
    """Variables with the database's URLs. The owner's is not handed on where each process has a login of its own."""
    return {
        "DATABASE_URL": "" if app and platform else owner,
        "PLANVAULT_APP_DATABASE_URL": app,
        "PLANVAULT_PLATFORM_DATABASE_URL": platform,
    }


# Another cluster's address or token in the caller's shell must not reach ours.
_FOREIGN = frozenset({"RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_NAMESPACE", "RAY_JOB_CONFIG_JSON_ENV_VAR"})

"""Keeps the local Ray on the loopback interface, where Ray 2.60 has no setting for it.

Two places listen beyond it after `--node-ip-address 127.0.0.1`: the Ray Client server, which nobody here uses, and the
gRPC server of each Serve replica, which binds `[::]`. One speaks beyond it: the dashboard. The hooks are named in the
environment that `planvault up` gives to Ray; on KubeRay that of `ray start` alone is, and a network policy does the
rest. Tests look at what really listens, and at what really leaves.
"""

from collections.abc import Mapping
from typing import Protocol, cast

_NOBODY = "http://127.0.0.1:9"
NO_WAY_OUT = {
    **{name: _NOBODY for scheme in ("http", "https", "all") for name in (f"{scheme}_proxy", f"{scheme}_PROXY".upper())},
    **dict.fromkeys(("no_proxy", "NO_PROXY"), "localhost,127.0.0.1,::1"),
}


# Of a cluster: pods and services talk to each other. The metadata services of clouds are in none of these networks.
NO_WAY_OUT_OF_THE_CLUSTER = {
    **NO_WAY_OUT,
    **dict.fromkeys(
        ("no_proxy", "NO_PROXY"),
        f"{NO_WAY_OUT['no_proxy']},.svc,.cluster.local,planvault-head-svc,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,"
        "100.64.0.0/10",
    ),
}


class _StartParameters(Protocol):
    ray_client_server_port: int | None


class _Services(Protocol):
    def start_ray_process(self, command: list[str], process_type: str, **options: object) -> object: ...


class _GrpcServers(Protocol):
    def add_port_to_grpc_server(self, server: object, address: str) -> int: ...


def without_client_server(parameters: _StartParameters, head: bool) -> None:
    """`ray start` would open port 10001, for a protocol that we do not speak."""
    parameters.ray_client_server_port = None


def keep_dashboard_home(environment: Mapping[str, str] = NO_WAY_OUT) -> None:
    """Switched off, the dashboard's usage statistics still ask every cloud's metadata service where they run, and
    report to usage-stats.ray.io that they are off (Ray 2.60). What that process asks for by HTTP goes to a proxy that
    nobody serves; Ray's own parts talk to loopback addresses, which need none."""
    from ray._private import services

    module = cast(_Services, services)
    original = module.start_ray_process

    def started(command: list[str], process_type: str, **options: object) -> object:
        if process_type == "dashboard":
            options["env_updates"] = {**cast("dict[str, str]", options.get("env_updates") or {}), **environment}
        return original(command, process_type, **options)

    module.start_ray_process = started  # type: ignore[method-assign]


def before_start(parameters: _StartParameters, head: bool) -> None:
    """RAY_START_HOOK: runs in `ray start`, before it starts anything."""
    without_client_server(parameters, head)
    keep_dashboard_home()


def before_start_in_cluster(parameters: _StartParameters, head: bool) -> None:
    """RAY_START_HOOK on KubeRay: the same, but that the dashboard reaches the cluster's own nodes."""
    without_client_server(parameters, head)
    keep_dashboard_home(NO_WAY_OUT_OF_THE_CLUSTER)


def bind_serve() -> None:
    """Worker set-up hook: runs before ray.serve is imported, which takes the function from this module by name."""
    from ray._common import tls_utils

    module = cast(_GrpcServers, tls_utils)
    original = module.add_port_to_grpc_server

    def on_loopback(server: object, address: str) -> int:
        host, _, port = address.rpartition(":")
        return original(server, f"127.0.0.1:{port}" if host == "[::]" else address)

    module.add_port_to_grpc_server = on_loopback  # type: ignore[method-assign]

"""Keeps the local Ray on the loopback interface, where Ray 2.60 has no setting for it.

Two places are left after `--node-ip-address 127.0.0.1`: the Ray Client server, which nobody here uses, and the gRPC
server of each Serve replica, which binds `[::]`. Both hooks are named in the environment that `planvault up` gives to
Ray; on KubeRay they are not set, and a network policy does the work. A test looks at what really listens.
"""

from typing import Protocol, cast


class _StartParameters(Protocol):
    ray_client_server_port: int | None


class _GrpcServers(Protocol):
    def add_port_to_grpc_server(self, server: object, address: str) -> int: ...


def without_client_server(parameters: _StartParameters, head: bool) -> None:
    """RAY_START_HOOK: `ray start` would open port 10001, for a protocol that we do not speak."""
    parameters.ray_client_server_port = None


def bind_serve() -> None:
    """Worker set-up hook: runs before ray.serve is imported, which takes the function from this module by name."""
    from ray._common import tls_utils

    module = cast(_GrpcServers, tls_utils)
    original = module.add_port_to_grpc_server

    def on_loopback(server: object, address: str) -> int:
        host, _, port = address.rpartition(":")
        return original(server, f"127.0.0.1:{port}" if host == "[::]" else address)

    module.add_port_to_grpc_server = on_loopback  # type: ignore[method-assign]

"""The two hooks that keep Ray on loopback, against Ray's own code."""

from types import SimpleNamespace

import pytest

from cluster import loopback
from cluster.environment import RAY


def test_the_client_server_is_left_out() -> None:
    parameters = SimpleNamespace(ray_client_server_port=10_001)
    loopback.without_client_server(parameters, True)
    assert parameters.ray_client_server_port is None


def test_a_replicas_server_binds_loopback_and_is_still_reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._common import tls_utils

    monkeypatch.setattr(tls_utils, "add_port_to_grpc_server", tls_utils.add_port_to_grpc_server)  # restored at the end
    loopback.bind_serve()
    asked: list[str] = []

    class Server:
        def add_insecure_port(self, address: str) -> int:
            asked.append(address)
            return 1

    tls_utils.add_port_to_grpc_server(Server(), "[::]:0")
    tls_utils.add_port_to_grpc_server(Server(), "127.0.0.1:5")
    assert asked == ["127.0.0.1:0", "127.0.0.1:5"]


def test_serves_replica_still_asks_through_the_function_that_is_replaced() -> None:
    """A Ray that binds its replicas in another way needs another hook."""
    import inspect

    from ray._common import tls_utils
    from ray.serve._private import replica

    assert replica.add_port_to_grpc_server is tls_utils.add_port_to_grpc_server
    assert 'add_port_to_grpc_server(self._server, "[::]:0")' in inspect.getsource(replica)


def test_the_environment_names_both_hooks_and_ray_reads_those_variables() -> None:
    from ray._private import ray_constants

    assert RAY[ray_constants.RAY_START_HOOK] == "cluster.loopback.before_start"
    assert RAY[ray_constants.WORKER_PROCESS_SETUP_HOOK_ENV_VAR] == "cluster.loopback.bind_serve"
    assert RAY[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] == "0"


def test_the_dashboard_and_nothing_else_is_started_without_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by Ray's own function for it, which finds the one that starts processes in its module."""
    import inspect

    from ray._private import ray_constants, services

    started: list[tuple[str, object]] = []

    def start(command: list[str], process_type: str, **options: object) -> None:
        started.append((process_type, options.get("env_updates")))

    monkeypatch.setattr(services, "start_ray_process", start)
    loopback.keep_dashboard_home()
    services.start_ray_process([], ray_constants.PROCESS_TYPE_DASHBOARD, env_updates={"A": "b"}, fate_share=False)
    services.start_ray_process([], ray_constants.PROCESS_TYPE_RAYLET, fate_share=False)
    assert started == [("dashboard", {"A": "b", **loopback.NO_WAY_OUT}), ("raylet", None)]
    assert {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"} <= loopback.NO_WAY_OUT.keys()
    assert "start_ray_process(" in inspect.getsource(services.start_api_server)

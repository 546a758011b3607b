"""Ports that are still free when a server comes to bind them."""

import socket

import pytest

from cluster import ports
from cluster.ports import free_port, is_free, kernels_first


def test_a_free_port_is_none_that_the_kernel_could_hand_to_a_connection_meanwhile() -> None:
    for _ in range(50):
        port = free_port("127.0.0.1")
        assert 20_000 <= port < kernels_first()
        assert is_free("127.0.0.1", port)


def test_a_port_that_is_taken_is_not_free() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert not is_free("127.0.0.1", server.getsockname()[1])


def test_where_the_kernel_hands_out_everything_any_free_port_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "kernels_first", lambda: 1_024)
    assert is_free("127.0.0.1", free_port("127.0.0.1"))


def test_of_two_that_want_the_same_port_at_once_one_gets_it_and_the_other_a_free_one() -> None:
    wanted = ports.free_port("127.0.0.1")
    with ports.preferred_port("127.0.0.1", wanted) as first, ports.preferred_port("127.0.0.1", wanted) as second:
        assert first == wanted
        assert second != wanted, "nobody listens there yet, and somebody is about to"
    with ports.preferred_port("127.0.0.1", wanted) as again:
        assert again == wanted, "the choice is over with its block"


def test_a_port_that_somebody_listens_on_is_not_chosen() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = int(listener.getsockname()[1])
        with ports.preferred_port("127.0.0.1", taken) as other:
            assert other != taken

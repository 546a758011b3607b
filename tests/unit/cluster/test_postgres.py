"""The embedded server's plan, without running it."""

from pathlib import Path

from cluster.data_dir import DataDir
from cluster.postgres import SETTINGS, Server, embedded
from cluster.server_user import ServerUser


def test_the_url_names_a_socket_and_no_network_address(tmp_path: Path) -> None:
    server = embedded(DataDir(tmp_path), None)
    assert server.url() == f"postgresql://postgres@/planvault?host={tmp_path}/postgres"
    assert SETTINGS["listen_addresses"] == ""


def test_what_is_acknowledged_is_on_disk() -> None:
    assert {"fsync", "synchronous_commit", "full_page_writes"}.isdisjoint(SETTINGS)


def test_a_path_too_long_for_a_socket_moves_only_the_socket(tmp_path: Path) -> None:
    deep = DataDir(tmp_path / ("d" * 100))
    server = embedded(deep, None)
    assert server.data == deep.postgres
    assert len(str(server.sockets)) < 90


def test_a_server_that_its_user_cannot_reach_is_copied_into_the_data_directory(tmp_path: Path) -> None:
    """As root with the environment under a closed home: nothing is opened, the user gets a copy."""
    nobody = ServerUser("planvault-postgres", uid=64_123, gid=64_123)
    binaries = embedded(DataDir(tmp_path), None).binaries
    reachable = all(nobody.may_pass(folder.stat()) for folder in binaries.resolve().parents)
    chosen = embedded(DataDir(tmp_path), nobody).binaries
    assert chosen == binaries if reachable else chosen.parent == tmp_path


def test_a_stale_pid_file_of_another_program_does_not_count_as_running(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text("1\n/somewhere\n")
    assert Server(tmp_path, tmp_path, tmp_path, None, tmp_path / "database.json").pid() is None

"""The data directory opens nothing that was closed."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.data_dir import DataDir, check, existing, locked, prepare, private_folder
from cluster.server_user import ServerUser
from planvault.errors import BringUpFailed

# A user who is in nobody's group: it passes where everybody may.
STRANGER = ServerUser("planvault-postgres", uid=64_123, gid=64_123)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that everybody may pass through, all the way down; pytest's own is closed."""
    folder = Path(tempfile.mkdtemp(prefix="planvault-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def test_a_new_directory_is_closed_to_others(tmp_path: Path) -> None:
    made = prepare(tmp_path / "new", None)
    assert mode(made.root) == 0o700


def test_a_parent_that_keeps_the_databases_user_out_is_refused_and_stays_closed(open_path: Path) -> None:
    closed = open_path / "home"
    closed.mkdir(mode=0o700)
    with pytest.raises(BringUpFailed, match="may not pass through"):
        prepare(closed / "data", STRANGER)
    assert mode(closed) == 0o700
    assert not (closed / "data").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another group")
def test_as_root_only_the_databases_group_may_pass_and_no_parent_changes(open_path: Path) -> None:
    before = {folder: mode(folder) for folder in (open_path, *open_path.parents)}
    made = prepare(open_path / "data", STRANGER)
    assert mode(made.root) == 0o710
    assert made.root.stat().st_gid == STRANGER.gid
    assert {folder: mode(folder) for folder in before} == before


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "thesis.txt").write_text("chapter 1")
    with pytest.raises(BringUpFailed, match="not PlanVault's"):
        prepare(tmp_path, None)
    assert mode(tmp_path) == 0o755


def test_a_directory_that_was_ours_before_is_taken_again(tmp_path: Path) -> None:
    prepare(tmp_path / "data", None).credentials.write_text("{}")
    assert prepare(tmp_path / "data", None).root == tmp_path / "data"


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(BringUpFailed, match="not a directory"):
        prepare(tmp_path / "data", None)


def test_a_read_only_place_is_refused_before_anything_is_made() -> None:
    with pytest.raises(BringUpFailed, match=r"cannot be (made|used)"):
        prepare(Path("/proc/planvault-data"), None)


def test_checking_changes_nothing(tmp_path: Path) -> None:
    check(tmp_path / "data", None)
    assert not (tmp_path / "data").exists()


def test_a_long_directory_gets_a_short_folder_of_its_own_for_sockets(tmp_path: Path) -> None:
    one, other = DataDir(tmp_path / ("a" * 80)), DataDir(tmp_path / ("b" * 80))
    assert len(str(one.short("ray", 40))) <= 40
    assert one.short("ray", 40) != other.short("ray", 40)
    assert DataDir(Path("/var/lib/planvault")).short("ray", 40) == Path("/var/lib/planvault/ray")


def test_a_private_folder_that_somebody_opened_is_not_used(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    trap.chmod(0o777)
    with pytest.raises(BringUpFailed, match="chown -R"):
        private_folder(trap)


def test_a_symbolic_link_in_place_of_a_private_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BringUpFailed, match="chown -R"):
        private_folder(tmp_path / "link")


def test_two_commands_do_not_hold_one_directory(tmp_path: Path) -> None:
    data = prepare(tmp_path / "data", None)
    with (
        locked(data),
        pytest.raises(BringUpFailed, match="Another planvault command"),
        locked(data, patience_s=0.1),
    ):
        pass
    with locked(data):
        pass  # released


def test_looking_at_a_directory_makes_nothing(tmp_path: Path) -> None:
    assert not existing(tmp_path / "none").root.exists()


def test_the_users_group_and_everybody_else_are_told_apart(tmp_path: Path) -> None:
    tmp_path.chmod(0o701)
    assert STRANGER.may_pass(tmp_path.stat())
    tmp_path.chmod(0o710)
    assert not STRANGER.may_pass(tmp_path.stat())
    insider = ServerUser("planvault-postgres", uid=64_123, gid=tmp_path.stat().st_gid)
    assert insider.may_pass(tmp_path.stat())

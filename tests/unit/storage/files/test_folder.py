from pathlib import Path
from uuid import UUID

import pytest

from models.ids import SessionId
from models.tenants import SessionScope
from planvault.errors import BringUpFailed
from planvault.ports import ShardLease
from planvault.storage.files.folder import EventFolder
from planvault.storage.files.segments import Segments
from tests.unit.engine.story import SCOPE

DATABASE = UUID(int=5)
LEASE = ShardLease(3, 7)


@pytest.fixture
def folder(tmp_path: Path) -> EventFolder:
    return EventFolder(tmp_path / "events")


def files(folder: EventFolder) -> list[str]:
    return sorted(path.name for path in folder.root.rglob("*.events"))


def test_a_new_folder_is_labelled_with_its_database_and_readable_by_its_owner_alone(folder: EventFolder) -> None:
    folder.belongs_to(DATABASE)
    folder.belongs_to(DATABASE)
    assert folder.root.stat().st_mode & 0o777 == 0o700


def test_another_databases_folder_is_refused_with_what_to_set(folder: EventFolder) -> None:
    folder.belongs_to(DATABASE)
    with pytest.raises(BringUpFailed, match="PLANVAULT_EVENTS_DIR"):
        folder.belongs_to(UUID(int=6))


def test_a_segment_and_its_folders_are_readable_by_their_owner_alone(folder: EventFolder) -> None:
    folder.belongs_to(DATABASE)
    Segments(folder).of(SCOPE, LEASE, 1)
    [path] = folder.root.rglob("*.events")
    assert path == folder.segment(3, SCOPE.session_id, 7, 0)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_session_goes_on_in_its_segment(folder: EventFolder) -> None:
    folder.belongs_to(DATABASE)
    segments = Segments(folder)
    segments.of(SCOPE, LEASE, 1).write(b"one")
    segments.of(SCOPE, LEASE, 2).write(b"two")
    assert folder.segment(3, SCOPE.session_id, 7, 0).read_bytes() == b"onetwo"


def test_after_a_doubt_the_next_events_go_to_a_new_file_and_the_old_one_stays_as_it_is(folder: EventFolder) -> None:
    folder.belongs_to(DATABASE)
    segments = Segments(folder)
    segments.of(SCOPE, LEASE, 1).write(b"perhaps committed")
    segments.leave(SCOPE, LEASE)
    segments.of(SCOPE, LEASE, 1).write(b"again")
    assert folder.segment(3, SCOPE.session_id, 7, 0).read_bytes() == b"perhaps committed"
    assert folder.segment(3, SCOPE.session_id, 7, 1).read_bytes() == b"again"


def test_a_write_that_waited_while_its_segment_was_left_writes_nowhere(folder: EventFolder) -> None:
    folder.belongs_to(DATABASE)
    segments = Segments(folder)
    segment = segments.of(SCOPE, LEASE, 1)
    segments.leave(SCOPE, LEASE)
    with pytest.raises(OSError, match="left"):
        segment.write(b"too late")
    assert files(folder) == ["0000000000000007-0000.events"]


def test_quiet_sessions_hold_no_descriptor_for_ever(folder: EventFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("planvault.storage.files.segments._MOST_OPEN", 2)
    folder.belongs_to(DATABASE)
    segments = Segments(folder)
    scopes = [SessionScope(**{**SCOPE.model_dump(), "session_id": SessionId(UUID(int=n))}) for n in range(100, 104)]
    opened = [segments.of(scope, LEASE, 1) for scope in scopes]
    segments.trim()
    with pytest.raises(OSError, match="left"):
        opened[0].write(b"x")
    opened[3].write(b"x")
    segments.close()

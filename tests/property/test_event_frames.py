"""Whatever an event is, its frame gives it back; whatever happens to a frame's bytes is noticed."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events import EventType, Visibility
from models.ids import RunId
from planvault.errors import RecordDamaged
from planvault.storage.files.frame import Frame, decode, encode, places

frames = st.builds(
    Frame,
    seq=st.integers(1, 2**63),
    type=st.sampled_from(EventType),
    visibility=st.sampled_from(Visibility),
    schema_version=st.integers(1, 2**16 - 1),
    run_id=st.none() | st.uuids().map(RunId),
    at=st.integers(0, 2**53).map(lambda micros: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)),
    payload=st.binary(max_size=200),
)


@given(frames)
def test_a_frame_gives_back_the_event_that_it_was_made_of(frame: Frame) -> None:
    assert decode(encode(frame)) == frame


@given(st.lists(frames, min_size=1, max_size=8), st.integers(0, 2**40))
def test_frames_in_a_row_are_found_by_their_headers(written: list[Frame], start: int) -> None:
    data = b"".join(map(encode, written))
    found = list(places(data, start))
    assert [decode(data, place.offset - start) for place in found] == written
    assert [place.seq for place in found] == [frame.seq for frame in written]
    assert [place.is_history for place in found] == [frame.visibility is Visibility.HISTORY for frame in written]
    assert [place.is_snapshot for place in found] == [frame.type is EventType.SNAPSHOT for frame in written]


@given(frames, st.data())
def test_a_changed_byte_is_noticed(frame: Frame, data: st.DataObject) -> None:
    written = bytearray(encode(frame))
    position = data.draw(st.integers(0, len(written) - 1))
    written[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(RecordDamaged):
        decode(bytes(written))


@given(frames, st.data())
def test_a_frame_that_is_cut_is_noticed(frame: Frame, data: st.DataObject) -> None:
    whole = encode(frame)
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(RecordDamaged):
        list(places(whole[:cut]))


def test_a_run_whose_id_is_all_zeros_is_not_taken_for_no_run() -> None:
    frame = Frame(1, EventType.DONE, Visibility.HISTORY, 1, RunId(UUID(int=0)), datetime(2026, 1, 1, tzinfo=UTC), b"x")
    assert decode(encode(frame)).run_id == RunId(UUID(int=0))

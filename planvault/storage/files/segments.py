"""A host's open segments: what this process appends to. No segment is ever written at a place it was written before."""

from __future__ import annotations

import os
from collections import OrderedDict
from threading import Lock

from models.ids import SessionId
from models.tenants import SessionScope
from planvault.ports import ShardLease
from planvault.storage.files.folder import EventFolder

_MOST_OPEN = 512  # descriptors kept; a session that is quiet for long opens its file again

_Key = tuple[SessionId, int]  # session, epoch


class Segment:
    """`size`: its bytes so far, all of them committed. `first_seq` and `snapshot_at` as in `event_segments`."""

    def __init__(self, descriptor: int, part: int, first_seq: int) -> None:
        self.part = part
        self.first_seq = first_seq
        self.size = 0
        self.snapshot_at: int | None = None
        self._descriptor: int | None = descriptor
        self._writing = Lock()  # a descriptor that is closed under a writer may be another file's by then

    def write(self, frames: bytes) -> None:
        """Durable when it returns; blocks on the disk. Raises OSError, and the segment is then to be left."""
        with self._writing:
            if self._descriptor is None:
                raise OSError("the segment was left while this write waited for its turn")
            view = memoryview(frames)
            while view:
                view = view[os.write(self._descriptor, view) :]
            os.fdatasync(self._descriptor)

    def close(self) -> None:
        with self._writing:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None


class Segments:
    """Not for two threads at once; `of` and closing may block on the disk."""

    def __init__(self, folder: EventFolder) -> None:
        self._folder = folder
        self._open: OrderedDict[_Key, Segment] = OrderedDict()

    def of(self, scope: SessionScope, lease: ShardLease, first_seq: int) -> Segment:
        """The segment that the session's next events go to; a new one where the last can no longer be trusted."""
        key = (scope.session_id, lease.epoch)
        segment = self._open.get(key)
        if segment is None:
            part = self._folder.next_part(lease.shard, *key)
            descriptor = self._folder.create(self._folder.segment(lease.shard, *key, part))
            segment = self._open[key] = Segment(descriptor, part, first_seq)
        self._open.move_to_end(key)
        return segment

    def leave(self, scope: SessionScope, lease: ShardLease) -> None:
        """What lies behind the segment's committed bytes is not known: go on in a new part."""
        segment = self._open.pop((scope.session_id, lease.epoch), None)
        if segment is not None:
            segment.close()

    def trim(self) -> None:
        """Let quiet sessions go. Their next events open a new part."""
        while len(self._open) > _MOST_OPEN:
            _, segment = self._open.popitem(last=False)
            segment.close()

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()

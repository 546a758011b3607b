"""Identifiers. All are UUIDs, version 7 for new rows, so that they sort by time of creation.

They are made by the `Ids` port, never here: the vocabulary reads no randomness.
"""

from typing import NewType
from uuid import UUID

OrgId = NewType("OrgId", UUID)
ProjectId = NewType("ProjectId", UUID)
IntegrationId = NewType("IntegrationId", UUID)
ToolId = NewType("ToolId", UUID)
ImportId = NewType("ImportId", UUID)
BulkImportId = NewType("BulkImportId", UUID)
KeyId = NewType("KeyId", UUID)
SessionId = NewType("SessionId", UUID)
MessageId = NewType("MessageId", UUID)
RunId = NewType("RunId", UUID)
CommandId = NewType("CommandId", UUID)
BlobId = NewType("BlobId", UUID)
TokenId = NewType("TokenId", UUID)  # of a signal: derived from its run and name
JobId = NewType("JobId", UUID)
UserId = NewType("UserId", UUID)
InvitationId = NewType("InvitationId", UUID)
ServiceTokenId = NewType("ServiceTokenId", UUID)

DEFAULT_SHARDS = 64


def shard_of(session_id: SessionId, shards: int = DEFAULT_SHARDS) -> int:
    """The shard that owns a session, 0 ≤ shard < `shards`.

    Taken from the last four bytes, which are random in a version-7 UUID (the first six are its time).
    """
    return int.from_bytes(session_id.bytes[-4:], "big") % shards

"""Every sealed column there is: what rotation, erasure, export and the decrypt-everything test walk.

A test compares this list with the schema: a column of bytes is either here, or on `NOT_SEALED` with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

from planvault.crypto.chunks import chunk_seal
from planvault.crypto.subjects import wrapped_seal
from planvault.ports import Seal
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/sealed.sql")

Row: TypeAlias = Any
"""A record of a column's page: its `places` columns, `session_id`, `subject`, `sealed`."""


class Owner(StrEnum):
    """Whose key a value is sealed with."""

    ORGANISATION = "organisation"
    SESSION = "session"  # its external user's, where it has one
    SUBJECT = "subject"  # the user named by the row itself


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """One column of envelopes.

    `key`: what addresses a row, in the order in which pages go. `places`: where a row's value may be bound to, from
    those columns and `needs`; more than one only where the row itself cannot say (a chunk of a blob that was never
    finished may be the last). `owner`: whose key seals it.
    """

    table: str
    column: str
    key: tuple[str, ...]
    owner: Owner
    places: Callable[[Row], Iterator[Seal]]

    @property
    def name(self) -> str:
        return f"{self.table}.{self.column}"

    @property
    def page(self) -> str:
        """SQL, see sealed.sql: $1 organisation, $2 ids of data keys, $3 and $4 where the page begins, $5 how many."""
        return _SQL[f"{self.table}_page"].replace("{column}", self.column)

    @property
    def swap(self) -> str:
        """SQL: $1 organisation, $2… one array a key column, then what was read and what comes in its place."""
        return _SQL[f"{self.table}_swap"].replace("{column}", self.column)


def _of_table(table: str, column: str) -> Callable[[Row], Iterator[Seal]]:
    def places(row: Row) -> Iterator[Seal]:
        yield Seal(f"table:{table}", table, str(row["id"]), column)

    return places


def _of_session(table: str, column: str) -> Callable[[Row], Iterator[Seal]]:
    def places(row: Row) -> Iterator[Seal]:
        yield Seal(f"session:{row['session_id']}", table, str(row["id"]), column)

    return places


def _event(row: Row) -> Iterator[Seal]:
    yield Seal(f"session:{row['session_id']}", "events", f"{row['session_id']}:{row['seq']}", "payload")


def _chunk(row: Row) -> Iterator[Seal]:
    subkey, value, position = f"session:{row['session_id']}", str(row["blob_id"]), row["position"]
    if row["chunks"] is not None:
        yield chunk_seal(subkey, value, position, last=position == row["chunks"] - 1)
        return
    yield chunk_seal(subkey, value, position, last=False)
    yield chunk_seal(subkey, value, position, last=True)


def _answer(row: Row) -> Iterator[Seal]:
    place = f"{row['project_id']}:{row['route']}:{row['key']}"
    yield Seal("table:idempotency", "idempotency", place, "answer")


def _headers(row: Row) -> Iterator[Seal]:
    place = f"{row['project_id']}:{row['integration_id']}"
    yield Seal("table:project_integrations", "project_integrations", place, "auth_headers")


def _comment(row: Row) -> Iterator[Seal]:
    yield Seal(f"session:{row['session_id']}", "feedback", f"{row['run_id']}:{row['voter'].hex()}", "comment")


def _signal(row: Row) -> Iterator[Seal]:
    yield Seal("table:signals", "signals", str(row["token_id"]), "name")


def _user_key(row: Row) -> Iterator[Seal]:
    yield wrapped_seal(UUID(int=row["id"].int))


def _export_chunk(row: Row) -> Iterator[Seal]:
    position = row["position"]
    if row["chunks"] is None or position < row["chunks"] - 1:
        yield export_chunk_seal(row["request_id"], position, last=False)
    if row["chunks"] is None or position == row["chunks"] - 1:
        yield export_chunk_seal(row["request_id"], position, last=True)


def export_chunk_seal(request_id: UUID, position: int, *, last: bool) -> Seal:
    """Where one chunk of an export's file is encrypted: bound to its position and whether it is the last."""
    place = f"{request_id}:{position}:{'last' if last else 'more'}"
    return Seal("table:privacy_export_chunks", "privacy_export_chunks", place, "payload")


_ID = ("id",)

COLUMNS: tuple[SealedColumn, ...] = (
    # Users' keys come first: a rotation has them under the new key before the old one goes.
    SealedColumn("data_keys", "wrapped", _ID, Owner.ORGANISATION, _user_key),
    SealedColumn("sessions", "context", _ID, Owner.SESSION, _of_session("sessions", "context")),
    SealedColumn("events", "payload", ("session_id", "seq"), Owner.SESSION, _event),
    SealedColumn("commands", "payload", _ID, Owner.SESSION, _of_session("commands", "payload")),
    SealedColumn("runs", "detail", _ID, Owner.SESSION, _of_session("runs", "detail")),
    SealedColumn("blobs", "detail", _ID, Owner.SESSION, _of_session("blobs", "detail")),
    SealedColumn("blob_chunks", "payload", ("blob_id", "position"), Owner.SESSION, _chunk),
    SealedColumn("feedback", "comment", _ID, Owner.SESSION, _comment),
    SealedColumn("signals", "name", ("token_id",), Owner.SESSION, _signal),
    SealedColumn("secrets", "value", _ID, Owner.SESSION, _of_table("secrets", "value")),
    SealedColumn("scheduled_jobs", "payload", _ID, Owner.SUBJECT, _of_table("scheduled_jobs", "payload")),
    SealedColumn("idempotency", "answer", ("project_id", "route", "key"), Owner.ORGANISATION, _answer),
    SealedColumn(
        "project_integrations", "auth_headers", ("project_id", "integration_id"), Owner.ORGANISATION, _headers
    ),
    SealedColumn("audit_log", "details", _ID, Owner.ORGANISATION, _of_table("audit_log", "details")),
    SealedColumn("audit_signing_keys", "seed", _ID, Owner.ORGANISATION, _of_table("audit_signing_keys", "seed")),
    SealedColumn("scenarios", "samples", _ID, Owner.ORGANISATION, _of_table("scenarios", "samples")),
    SealedColumn("scenarios", "instruction", _ID, Owner.ORGANISATION, _of_table("scenarios", "instruction")),
    SealedColumn("scenarios", "created_by", _ID, Owner.ORGANISATION, _of_table("scenarios", "created_by")),
    SealedColumn("privacy_requests", "detail", _ID, Owner.ORGANISATION, _of_table("privacy_requests", "detail")),
    SealedColumn("privacy_export_chunks", "payload", ("request_id", "position"), Owner.SUBJECT, _export_chunk),
)

NOT_SEALED = {
    "api_keys.key_sha256": "digest of 256 random bits",
    "api_keys.retiring_sha256": "digest of 256 random bits",
    **dict.fromkeys(
        (
            "audit_anchors.hash",
            "audit_heads.hash",
            "audit_heads.pruned_hash",
            "audit_log.hash",
            "audit_log.prev_hash",
            "audit_segments.last_hash",
            "audit_segments.prev_hash",
        ),
        "digest of a chain",
    ),
    **dict.fromkeys(
        ("audit_anchors.signature", "audit_segments.signature", "audit_signing_keys.introduction"), "signature"
    ),
    **dict.fromkeys(
        (
            "audit_anchors.public_key",
            "audit_segments.public_key",
            "audit_signing_keys.introduced_by",
            "audit_signing_keys.public_key",
        ),
        "public key",
    ),
    "audit_log.details_digest": "salted digest; the salt lies in the sealed details",
    "bulk_import_documents.body": "an API's published document, until it is imported",
    "data_keys.subject": "keyed hash",
    "feedback.voter": "keyed hash",
    "idempotency.body_sha256": "digest",
    "privacy_requests.sealed_for": "keyed hash",
    "privacy_requests.sha256": "digest of an export's file",
    "invitations.token_sha256": "digest of 256 random bits",
    "rate_buckets.subject": "digest",
    "scenario_samples.subject": "keyed hash",
    "scenario_users.subject": "keyed hash",
    "scheduled_jobs.external_user_hmac": "keyed hash",
    "service_tokens.retiring_sha256": "digest of 256 random bits",
    "service_tokens.token_sha256": "digest of 256 random bits",
    "sessions.external_user_hmac": "keyed hash",
    "signals.payload_mac": "keyed hash",
    "tool_group_centroids.members_sha256": "digest of catalog text",
    "tool_index.document_sha256": "digest of catalog text",
    "tool_index.embedded_sha256": "digest of catalog text",
}
"""Columns of bytes that hold no content, and why. (`data_keys.wrapped` of an organisation's keys is the KEK's.)"""

"""Every table and every column of the database: what of a person it may hold, and how that goes.

docs/privacy.md shows it; a test compares it with the schema, so that a new table or column cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Holding:
    """One table. `personal`: columns that may hold something of a person; `technical`: all others.

    `what`: what that is, empty where the table says nothing of people or their sessions; `goes`: how it goes when an
    external user is erased; `exported`: where an export has it.
    """

    personal: tuple[str, ...]
    technical: tuple[str, ...]
    what: str = ""
    goes: str = ""
    exported: str = ""


def _holding(personal: str, technical: str, what: str = "", goes: str = "", exported: str = "") -> Holding:
    return Holding(tuple(personal.split()), tuple(technical.split()), what, goes, exported)


HOLDINGS: Mapping[str, Holding] = MappingProxyType(
    {
        "actor_leases": _holding("", "name holder rank epoch expires_at"),
        "api_keys": _holding(
            "name",
            "id org_id project_id key_sha256 preview scopes is_primary created_at last_used_at revoked_at "
            "expires_at rotated_at retiring_sha256 retiring_until maker_kind maker_user maker_token retiring_user "
            "retiring_token",
            "names of keys",
            "with the project",
            "with projects and organisations",
        ),
        "audit_anchors": _holding(
            "",
            "org_id seq hash at public_key signature",
        ),
        "audit_heads": _holding(
            "",
            "org_id seq hash pruned_seq pruned_hash",
        ),
        "audit_log": _holding(
            "details",
            "id org_id project_id session_id run_id at action created_at seq prev_hash hash details_digest",
            "who decided what; an operator may be the person",
            "details blanked: rows of the sessions, and any other row that names the person; the chain stays whole",
            "sessions/ID/audit_log.json, audit_log.json",
        ),
        "audit_segments": _holding(
            "",
            "org_id first_seq last_seq prev_hash last_hash at public_key signature",
        ),
        "audit_signing_keys": _holding(
            "",
            "id org_id version public_key seed at introduced_by introduction",
        ),
        "blob_chunks": _holding(
            "payload",
            "blob_id position",
            "large results",
            "with the session",
            "sessions/ID/blobs/BLOB.bin",
        ),
        "blobs": _holding(
            "detail",
            "id org_id project_id session_id run_id purpose size chunks kept created_at",
            "media type and digest of large results",
            "with the session",
            "sessions/ID/blobs.json",
        ),
        "bulk_import_documents": _holding(
            "",
            "import_id org_id path alias sha256 size body status integration_id created updated unchanged "
            "removed skipped",
        ),
        "bulk_import_findings": _holding(
            "",
            "import_id path position operation outcome tool problems",
        ),
        "bulk_imports": _holding(
            "",
            "id org_id name_prefix prune status stage stage_started_at stage_began_at stage_began_bytes "
            "to_embed embedded timings error attempts leased_until created_at started_at finished_at",
        ),
        "catalog_revision": _holding(
            "",
            "org_id revision tools",
        ),
        "cluster_drains": _holding(
            "",
            "cluster_id until",
        ),
        "commands": _holding(
            "payload",
            "id seq org_id project_id session_id shard kind created_at consumed_at",
            "messages and decisions, who sent them",
            "with the session",
            "sessions/ID/commands.json",
        ),
        "data_keys": _holding(
            "wrapped subject",
            "id org_id purpose version wrapped_by status created_at generation activated_at retired_at destroyed_at",
            "the person's own key; pseudonym",
            "key destroyed; the row stays",
            "data_keys.json, without the key",
        ),
        "erased_sessions": _holding(
            "",
            "session_id org_id request_id shard fenced_at",
            "ids of sessions that were erased",
            "after 30 days",
            "not",
        ),
        "event_heads": _holding(
            "",
            "session_id org_id seq epoch",
            "where a session's files end",
            "with the session",
            "not",
        ),
        "event_leftovers": _holding(
            "",
            "session_id epoch part revision shard since doomed",
            "names of files that are to be removed: ids of sessions",
            "with their files",
            "not",
        ),
        "event_segments": _holding(
            "",
            "session_id epoch part org_id shard first_seq last_seq snapshot_at bytes revision key_id",
            "which files a session has; the files hold what `events` holds elsewhere",
            "with the session; its folder is deleted",
            "sessions/ID/events.json",
        ),
        "event_store": _holding(
            "",
            "only_row id mode",
        ),
        "events": _holding(
            "payload",
            "session_id seq org_id shard epoch type visibility schema_version run_id at",
            "prompts, replies, results, the journal",
            "before the session's row; late appends are refused",
            "sessions/ID/events.json",
        ),
        "feedback": _holding(
            "voter value comment",
            "id org_id project_id session_id run_id learned taught taught_at created_at updated_at proven",
            "votes on runs and comments; the voter as a keyed hash",
            "with the session; the person's votes on others' runs by their hash",
            "sessions/ID/feedback.json, votes.json",
        ),
        "hosts": _holding(
            "",
            "id build_id heartbeat_at draining cluster_id",
        ),
        "idempotency": _holding(
            "route key answer",
            "project_id org_id body_sha256 status created_at",
            "answers of the API, which repeat sessions and jobs; keys that callers chose",
            "found by the ids of sessions and jobs and by the identifier; in Redis first",
            "not: they repeat sessions and jobs, for a day",
        ),
        "imports": _holding(
            "",
            "id org_id integration_id status document spec_url total done report notes error attempts "
            "leased_until created_at finished_at",
        ),
        "integration_revision": _holding(
            "",
            "integration_id org_id revision tools",
        ),
        "integrations": _holding(
            "",
            "id org_id alias display_name source base_url version spec_sha256 created_at updated_at "
            "catalog_prefix catalog_path extraction",
        ),
        "invitations": _holding(
            "email invited_by",
            "id org_id role token_sha256 inviter created_at expires_at accepted_at accepted_by revoked_at",
            "e-mail addresses of invited staff",
            "with the organisation; of a person of the staff by their erasure",
            "invitations.json of organisations",
        ),
        "key_rotations": _holding(
            "reason",
            "id org_id generation state created_at entered_at finished_at position looked_at reencrypted "
            "passes found_in_pass unreadable attempts leased_until error",
            "why keys were rotated",
            "with the organisation",
            "not",
        ),
        "lexeme_stats": _holding(
            "",
            "org_id lexeme tools strong",
        ),
        "members": _holding(
            "role",
            "org_id user_id joined_at",
            "staff and their roles",
            "by removing the member, and by their erasure",
            "members.json of organisations",
        ),
        "organization_deletions": _holding(
            "requested_by",
            "org_id requested_at purge_after restored_at keys_destroyed purge_began_at purged_at gone "
            "audit_until audit_forgotten_at",
            "who deleted an organisation",
            "stays, as proof",
            "not",
        ),
        "organizations": _holding(
            "name settings",
            "id dek_wrap created_at keys_per_project deleted_at purge_after",
            "names and settings; operator ids in approval groups",
            "with the organisation. Operator ids: by changing the settings",
            "organizations.json of organisations",
        ),
        "privacy_export_chunks": _holding(
            "payload",
            "request_id position org_id",
            "files of exports",
            "files of the person's exports, and of exports that include them",
            "not",
        ),
        "privacy_requests": _holding(
            "subjects voters detail sealed_for",
            "id org_id kind target project_id state stage entered_at counts position error attempts "
            "leased_until created_at started_at finished_at size chunks sha256 expires_at",
            "requests about the person; the identifier, encrypted, while one is open",
            "the identifier with the end of the request; pseudonyms stay as proof",
            "not",
        ),
        "project_integrations": _holding(
            "auth_headers",
            "org_id project_id integration_id enabled approval_policy updated_at",
            "credentials of the project",
            "with the project",
            "without credentials",
        ),
        "projects": _holding(
            "name settings name_before",
            "id org_id created_at deleted_at purge_after",
            "names and settings; operator ids in approval groups",
            "of a project: with it. Operator ids: by changing the settings",
            "with projects and organisations",
        ),
        "pruned_journals": _holding(
            "",
            "session_id org_id below",
            "how far a journal was pruned",
            "with the session",
            "not",
        ),
        "rate_buckets": _holding(
            "",
            "subject full_at",
        ),
        "runs": _holding(
            "detail",
            "id org_id project_id session_id shard status is_open plan_hash created_at updated_at wake_at "
            "message_id pruned learned",
            "what a run waits for, why it ended",
            "with the session",
            "sessions/ID/runs.json",
        ),
        "scenario_lessons": _holding(
            "",
            "run_id scenario_id org_id share",
            "which scenarios a run had a part in",
            "with the run",
            "not: numbers about scenarios",
        ),
        "scenario_samples": _holding(
            "embedding subject",
            "id org_id project_id scenario_id automatic embedding_model run_id session_id created_at",
            "vectors of prompts, which leak their text",
            "with the session, and by the pseudonym; with the last vector the learned scenario goes",
            "sessions/ID/scenario_samples.json",
        ),
        "scenario_users": _holding(
            "subject",
            "scenario_id org_id",
            "that the person's runs support a learned scenario",
            "by the pseudonym",
            "scenario_users.json",
        ),
        "scenarios": _holding(
            "samples instruction created_by name",
            "id org_id project_id kind priority enabled tool_ids successes failures counted_at created_at updated_at",
            "examples that staff wrote; automatic ones hold no text",
            "staff's texts stay: they are the organisation's. Of a project: with it",
            "with projects and organisations",
        ),
        "scheduled_jobs": _holding(
            "external_user_hmac payload secret_names tags idempotency_key last_error",
            "id org_id project_id target session_id settings rule state run_at wake_at attempts created_at updated_at",
            "prompts to be sent later, context, who booked them",
            "by the pseudonym, and with the session that they resume",
            "scheduled_jobs.json",
        ),
        "scheduled_occurrences": _holding(
            "error",
            "job_id due_at org_id project_id session_id message_id at",
            "what became of each time a job was due",
            "with the job",
            "with projects and organisations",
        ),
        "schema_migrations": _holding(
            "",
            "name sha256 applied_at",
        ),
        "secrets": _holding(
            "name value",
            "id org_id project_id session_id updated_at",
            "credentials given to a session",
            "with the session",
            "names only",
        ),
        "service_tokens": _holding(
            "name created_by",
            "id org_id role token_sha256 preview created_at expires_at last_used_at rotated_at "
            "retiring_sha256 retiring_until revoked_at maker_user retiring_user",
            "who made a token",
            "with the organisation; its maker's label by their erasure",
            "service_tokens.json of organisations",
        ),
        "sessions": _holding(
            "external_user_hmac tags context",
            "id org_id project_id shard status settings created_at updated_at",
            "pseudonym; tags, context variables and metadata of the conversation",
            "with the session",
            "sessions/ID/session.json",
        ),
        "shard_owner": _holding(
            "",
            "shard epoch owner",
        ),
        "signals": _holding(
            "name payload_mac",
            "token_id org_id project_id session_id run_id status expires_at created_at settled_at",
            "names that plans computed; keyed hash of what came in",
            "with the session",
            "sessions/ID/signals.json",
        ),
        "tool_group_centroids": _holding(
            "",
            "id org_id integration_id reach coherence base_coherence part parts size base_size routing "
            "model centroid base name members_sha256",
        ),
        "tool_group_progress": _holding(
            "",
            "integration_id org_id revision rules model",
        ),
        "tool_index": _holding(
            "",
            "tool_id org_id integration_id group_id active version entry_revision revision document_sha256 "
            "embedded_sha256 embedding_model embedding name group_name impacts requires produces lexemes",
        ),
        "tool_usage": _holding(
            "",
            "org_id project_id tool_id uses counted_at",
            "how often a project's runs used a tool: counts of no person",
            "stays; of a project: with it",
            "with projects and organisations",
        ),
        "tools": _holding(
            "",
            "id version org_id integration_id name group_name definition definition_hash document current created_at",
        ),
        "users": _holding(
            "issuer subject email name",
            "id email_verified created_at last_seen_at",
            "people who sign in: staff, not external users",
            "by erasure of the person (target `member`), where no other organisation has them",
            "members.json of organisations",
        ),
    }
)


def as_markdown() -> str:
    """The table of docs/privacy.md: tables that hold something of a person or of a session."""
    rows = ["| table | columns | what | on erasure of an external user | in an export |", "|---|---|---|---|---|"]
    for name, each in sorted(HOLDINGS.items()):
        if each.what:
            columns = " ".join(f"`{column}`" for column in each.personal) or "none"
            rows.append(f"| `{name}` | {columns} | {each.what} | {each.goes} | {each.exported} |")
    return "\n".join(rows) + "\n"

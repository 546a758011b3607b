"""Every place where the product keeps, takes or makes a secret, and which canary stands there.

`tests/architecture/test_secret_places.py` compares this list with the settings, with the sealed columns and with the
digests, so that a new place is planted or has its reason. What the product does not have: secrets of an OpenID Connect
client (it only verifies), webhook secrets and traces. Where they come, they come here first.
"""

from __future__ import annotations

DATABASE = "database password"
DATA_KEY = "data key"
KEYSET = "keyset"

SETTINGS = {
    "llm_api_key": "provider key",
    "kek_vault_token": "vault token",
    "redis_url": "redis password",
    "database_url": DATABASE,
    "app_database_url": DATABASE,
    "platform_database_url": DATABASE,
}
PLAIN_SETTINGS = {
    "keyset_path": "a path; the file's content is planted",
    "kek_aws_key": "an id; AWS's own credentials are read by its library, as `vendor key` is by the model's",
    "kek_aws_former_keys": "ids",
    "kek_vault_key": "a name",
    "kek_vault_token_file": "a path; its content is used as the setting's",
    "admin_token_sha256": "the digest of 256 random bits; the token is planted",
    "keep_admin_token": "a switch",
    "oidc_jwks_url": "where public keys are",
    "llm_base_url": "an address",
    "public_url": "an address",
}
"""Settings whose name sounds like a secret, and why they are none."""

SEALED = {
    "data_keys.wrapped": DATA_KEY,
    "sessions.context": "context",
    "events.payload": "prompt",
    "commands.payload": "prompt",
    "blob_chunks.payload": "project",
    "feedback.comment": "feedback comment",
    "secrets.value": "organisation",
    "scheduled_jobs.payload": "job secret",
    "project_integrations.auth_headers": "header template",
    "idempotency.answer": "second key",
    "scenarios.samples": "scenario sample",
    "scenarios.instruction": "scenario instruction",
    "privacy_requests.detail": "external user",
    "privacy_export_chunks.payload": "context",
}
UNPLANTED = {
    "runs.detail": "what a run waits for, made of its events",
    "blobs.detail": "type and shape of a stored result",
    "signals.name": "a word of the plan's; the signal's token is planted",
    "audit_log.details": "names and ids; its rows of the planted writes are searched for their values",
    "audit_signing_keys.seed": "made, sealed and opened inside; no caller ever holds it",
    "scenarios.created_by": "a name",
}

DIGESTS = {
    "api_keys.key_sha256": "second key",
    "api_keys.retiring_sha256": "rotated key",
    "invitations.token_sha256": "invitation",
    "service_tokens.token_sha256": "service token",
    "service_tokens.retiring_sha256": "rotated service token",
}

# Neither in a setting nor in a column: files of the data directory, and what passes through.
ELSEWHERE = frozenset(
    {
        *("project key", "admin token", "ray token", KEYSET, "vendor key", "person's token", "signal token"),
        *("project", "session", "auth", "overridden_org", "overridden_project", "overriding_session", "job prompt"),
    }
)

CONTENTS = frozenset(
    {
        *("context", "prompt", "feedback comment", "job prompt", "scenario sample", "scenario instruction"),
        "external user",
    }
)
"""What the tenant itself reads over the API, and nobody in a log, a dump, a metric or Ray's surfaces."""


def kind(place: str) -> str:
    """`data key 2` is a `data key`: of some places there are several."""
    return next((name for name in (DATABASE, DATA_KEY, KEYSET) if place.startswith(name)), place)


def planted_kinds() -> frozenset[str]:
    """All that the test must have planted."""
    return frozenset({*SETTINGS.values(), *SEALED.values(), *DIGESTS.values(), *ELSEWHERE, *CONTENTS})

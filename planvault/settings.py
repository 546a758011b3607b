"""Settings: read from the environment once, at a process's composition root, and passed on as values."""

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.rate_limits import parse_limits


def default_data_dir() -> Path:
    """As root /var/lib/planvault, where the embedded database's own user can reach it; else the user's data folder."""
    if os.geteuid() == 0:
        return Path("/var/lib/planvault")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "planvault"


class Settings(BaseSettings):
    """Every variable is `PLANVAULT_` + the field's name in upper case, except where an alias says otherwise."""

    model_config = SettingsConfigDict(
        env_prefix="PLANVAULT_",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,  # URLs carry passwords
    )

    data_dir: Path = Field(
        default_factory=default_data_dir, description="State of the embedded default: database, keys, logs"
    )
    database_url: str = Field(
        default="",
        validation_alias="DATABASE_URL",
        description="The database, as its owner (migrations); empty: the embedded Postgres",
    )
    app_database_url: str = Field(
        default="",
        description="The same database for the API, a login of the role planvault_app; empty: DATABASE_URL",
    )
    platform_database_url: str = Field(
        default="",
        description="The same for everything else, a login of the role planvault_platform; empty: DATABASE_URL",
    )
    redis_url: str = Field(
        default="", validation_alias="REDIS_URL", description="Repeats answers and wakes processes faster; empty: none"
    )
    session_store: Literal["postgres", "file"] = Field(
        default="postgres", description="Where session events are kept; fixed for the life of a database"
    )
    events_dir: Path | None = Field(
        default=None, description="Folder of the session events in file mode (one machine); default DATA_DIR/events"
    )
    keyset_path: Path | None = Field(default=None, description="Local KEK keyset (0600); default DATA_DIR/keyset.json")
    kek_provider: Literal["local", "aws-kms", "vault-transit"] = Field(
        default="local", description="Who wraps the data keys of new organisations; others that are set still unwrap"
    )
    kek_aws_key: str = Field(default="", description="AWS KMS: id, ARN or alias of the key; empty: not used")
    kek_aws_former_keys: str = Field(default="", description="Comma-separated: other keys of AWS KMS that may unwrap")
    kek_aws_region: str = Field(default="", description="AWS KMS: region; empty: as AWS's own tools find it")
    kek_aws_endpoint: str = Field(default="", description="AWS KMS: another endpoint, e.g. a VPC's")
    kek_vault_address: str = Field(
        default="", description="Vault transit: https://vault.example.com:8200; empty: not used"
    )
    kek_vault_key: str = Field(default="planvault", description="Vault transit: name of the key (aes256-gcm96)")
    kek_vault_mount: str = Field(default="transit", description="Vault transit: path of the engine")
    kek_vault_namespace: str = Field(default="", description="Vault transit: namespace (Enterprise)")
    kek_vault_token: SecretStr = Field(default=SecretStr(""), description="Vault transit: a token, which is renewed")
    kek_vault_token_file: Path | None = Field(
        default=None, description="Vault transit: file with the token instead, e.g. a Vault agent's sink"
    )
    kek_vault_ca_file: Path | None = Field(default=None, description="Vault transit: certificates to trust (PEM)")
    admin_token_sha256: str = Field(default="", description="Hex SHA-256 of the static admin token; empty: none")
    shards: int = Field(default=64, ge=1, le=4096, description="Session shards; fixed for the life of a database")
    session_hosts: int = Field(default=2, ge=1, le=256, description="SessionHost actors")
    tool_workers: int = Field(default=2, ge=1, le=256, description="ToolWorker actors, which look into large results")
    lease_seconds: float = Field(default=6.0, ge=2.0, description="A host silent for longer loses its shards")
    drain_seconds: float = Field(
        default=15.0, gt=0, description="How long a leaving host waits for the calls that it has on the wire"
    )
    recording_hours: float = Field(
        default=24.0, ge=0, description="How long the journal of an ended run is kept; its history stays"
    )
    occurrence_days: float = Field(
        default=90.0,
        ge=0,
        description="How long it is kept what became of a scheduled job's occurrences; its last one stays",
    )
    build_id: str = Field(default="dev", description="Part of actor names, so that an upgrade starts new hosts")

    # The planner's model. Nothing set: the built-in planner.
    llm_model: str = Field(default="", description="LiteLLM model name, e.g. openai/gpt-5-mini or anthropic/…")
    llm_base_url: str = Field(default="", description="Base URL of an OpenAI-compatible server")
    llm_api_key: str = Field(default="", description="Key for that server; vendors' own variables work as well")
    llm_timeout_s: float = Field(default=60.0, gt=0, description="Seconds that one answer of the model may take")
    planner_repairs: int = Field(
        default=2, ge=0, le=5, description="Times that a faulty plan goes back with its errors"
    )

    # Signing in: tokens of one OpenID Connect issuer (docs/identity.md).
    oidc_issuer: str = Field(
        default="",
        description="The issuer's URL, exactly as its discovery document spells it; empty: nobody signs in",
    )
    oidc_audience: str = Field(
        default="", description="Comma-separated: what this API is called in the `aud` of tokens; required"
    )
    oidc_clients: str = Field(
        default="", description="Comma-separated: applications (`azp`) that may call with a person's token; empty: all"
    )
    oidc_jwks_url: str = Field(
        default="", description="Address of the issuer's keys; empty: what its discovery document names"
    )
    oidc_private: bool = Field(
        default=False, description="The issuer is in your own network: private addresses, loopback and http:// are fine"
    )
    oidc_subject_claim: Literal["sub", "oid"] = Field(
        default="sub", description="Which claim says who somebody is; `oid` is for Entra"
    )
    oidc_email_claim: str = Field(default="email", description="Which claim holds the e-mail address")
    oidc_trust_emails: bool = Field(
        default=False,
        description="The issuer verifies every address though no `email_verified` says so; else only those",
    )
    oidc_leeway_s: float = Field(default=30.0, ge=0, le=300, description="Seconds that clocks may differ by")
    oidc_operator_claim: str = Field(
        default="", description="Claim that says who runs this installation, e.g. realm_access.roles; empty: none does"
    )
    oidc_operator_value: str = Field(
        default="planvault-operator", description="What that claim must be, or hold, for an operator"
    )
    oidc_operators: str = Field(
        default="", description="Comma-separated: further operators, by subject or verified e-mail address"
    )
    keep_admin_token: bool = Field(
        default=False, description="The static admin token stays valid beside OIDC; else it is refused then"
    )
    superadmin_port: int = Field(
        default=0, ge=0, le=65_535, description="Port of the operators' API `/superadmin/v1`; 0: it is not served"
    )
    superadmin_host: str = Field(
        default="127.0.0.1", description="Address of the operators' API: loopback, or one of an internal network"
    )

    embedding_batch: int = Field(
        default=256, ge=1, description="Documents of an import embedded in one request; more pad each other less"
    )
    resident_index_mb: int = Field(
        default=512, ge=0, description="Memory of one process for copies of large catalogs; 0: Postgres searches them"
    )
    egress_allow_loopback: bool = Field(
        default=False, description="Whether organisations may open this machine's own addresses to their calls"
    )
    egress_allow_private: bool = Field(
        default=False, description="Whether organisations may open private networks to their calls"
    )
    egress_denied: str = Field(
        default="", description="Comma-separated networks (CIDR) that no call may reach, e.g. the platform's own"
    )
    max_body_bytes: int = Field(default=25 * 1024 * 1024, description="Largest request body, imports included")
    public_url: str = Field(
        default="",
        description="Where services reach the API for callbacks, e.g. https://plans.example.com; empty: no URL",
    )
    rate_limits: str = Field(
        default="",
        description="What differs from the defaults, e.g. key.requests=600/60, key.imports=10/60; off: no rate limits",
    )
    trusted_proxies: str = Field(
        default="",
        description="Addresses and networks whose X-Forwarded-For is believed, e.g. 10.0.0.0/8; empty: nobody's",
    )
    cors_origins: str = Field(default="*", description="Comma-separated list, or *; no cookies are used")
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR; logs are JSON lines")

    @field_validator("rate_limits")
    @classmethod
    def _known_limits(cls, text: str) -> str:
        parse_limits(text)
        return text

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, text: str) -> str:
        """A browser compares origins letter by letter: one with a path, or without a scheme, would never match."""
        origins = [each.strip() for each in text.split(",") if each.strip()]
        if len(origins) > 1 and "*" in origins:
            raise ValueError("PLANVAULT_CORS_ORIGINS is `*` or a list, not both")
        for origin in origins:
            parts = urlsplit(origin)
            if origin != "*" and (
                parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}"
            ):
                raise ValueError(f"PLANVAULT_CORS_ORIGINS: {origin!r} is no origin such as https://app.example.com")
        return text

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, text: str) -> str:
        for part in filter(None, (each.strip() for each in text.split(","))):
            ip_network(part)
        return text

    @field_validator("redis_url")
    @classmethod
    def _understood(cls, url: str) -> str:
        """Redis may be away, but what cannot be an address is a mistake, said at the start."""
        parts = urlsplit(url)
        if url and parts.scheme not in ("redis", "rediss", "unix"):
            raise ValueError("REDIS_URL must begin with redis://, rediss:// or unix://")
        if parts.scheme != "unix" and parts.port == 0:
            raise ValueError("REDIS_URL names port 0")
        return url

    @property
    def app_url(self) -> str:
        """What works for one organisation at a time connects here."""
        return self.app_database_url or self.database_url

    @property
    def platform_url(self) -> str:
        """What works across organisations connects here."""
        return self.platform_database_url or self.database_url

    @field_validator("egress_denied")
    @classmethod
    def _denied_networks(cls, listed: str) -> str:
        for text in filter(None, (part.strip() for part in listed.split(","))):
            ip_network(text)  # its ValueError names the text
        return listed

    @property
    def events_folder(self) -> Path | None:
        """None where session events are rows of the database."""
        return None if self.session_store == "postgres" else self.events_dir or self.data_dir / "events"

    @property
    def keyset(self) -> Path:
        return self.keyset_path or self.data_dir / "keyset.json"

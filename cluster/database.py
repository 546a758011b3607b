"""The platform's database, whichever it is: reached, fit, migrated, with its default tenant."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from cluster.logins import APP, PLATFORM, Login, Logins, stretching
from cluster.postgres import DATABASE
from models.tenants import OrgScope
from planvault.clock import TimeOrderedIds
from planvault.crypto.assembly import key_providers
from planvault.crypto.keyset import load
from planvault.crypto.providers import KeyProviders
from planvault.errors import BringUpFailed, PlanVaultError
from planvault.ingestion.native import install_native_tools
from planvault.settings import Settings
from planvault.storage.bootstrap import TenantCredentials, ensure_default_tenant, organizations
from planvault.storage.leases import create_shards
from planvault.storage.migrate import migrate
from planvault.storage.pool import Role, open_pool
from planvault.storage.session_store import SessionStore

OLDEST_POSTGRES = 15
OLDEST_PGVECTOR = (0, 8)
CONNECT_TIMEOUT_S = 10.0

# What each login of the processes is a member of.
ROLES: dict[Login, Role] = {APP: Role.TENANT, PLATFORM: Role.PLATFORM}

_PGVECTOR = """
SELECT default_version AS available, installed_version AS installed
FROM pg_available_extensions WHERE name = 'vector'"""


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    postgres: str
    pgvector: str


def named(url: str) -> str:
    """The database as a message may name it: host and name, never user or password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'local socket'}{f':{parts.port}' if parts.port else ''}{parts.path}"


async def create_database(maintenance_url: str) -> None:
    """Make the platform's database in the embedded server where it is missing."""
    connection = await _connect(maintenance_url)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f'CREATE DATABASE "{DATABASE}"')
    finally:
        await connection.close()


async def check(url: str) -> DatabaseFacts:
    """Raises BringUpFailed for a database that cannot be reached, is too old, or has no (or too old a) pgvector."""
    connection = await _connect(url)
    try:
        version: str = await connection.fetchval("SHOW server_version")
        row = await connection.fetchrow(_PGVECTOR)
        number = int(await connection.fetchval("SHOW server_version_num")) // 10_000
    finally:
        await connection.close()
    if number < OLDEST_POSTGRES:
        raise BringUpFailed(f"{named(url)} is Postgres {version}; PlanVault needs {OLDEST_POSTGRES} or newer.")
    if row is None:
        raise BringUpFailed(
            f"{named(url)} has no pgvector. Install it on the server (0.8 or newer, package "
            f"postgresql-{number}-pgvector), or unset DATABASE_URL to use the embedded Postgres."
        )
    if row["installed"] is not None and _parsed(row["installed"]) < OLDEST_PGVECTOR:
        way_out = (
            "Run: ALTER EXTENSION vector UPDATE" if _fits(row["available"]) else "Install a newer one on the server"
        )
        raise BringUpFailed(f"{named(url)} uses pgvector {row['installed']}; PlanVault needs 0.8 or newer. {way_out}.")
    if not _fits(row["available"]):
        raise BringUpFailed(
            f"{named(url)} offers pgvector {row['available']}; PlanVault needs 0.8 or newer. Install it on the server."
        )
    return DatabaseFacts(version, row["installed"] or row["available"])


async def ready(url: str, settings: Settings, known: TenantCredentials | None) -> TenantCredentials:
    """Check, migrate, and make shards, event store, keyset and default tenant; repeating any step is harmless."""
    await check(url)
    try:
        await migrate(url)
        pool = await open_pool(url, name="up", maximum=2)
        async with pool:
            await _refuse_lost_keyset(pool, settings.keyset)
            await _prove_provider(key_providers(settings))
            await create_shards(pool, settings.shards)
            ids = TimeOrderedIds()
            await SessionStore(settings.events_folder).claim(pool, ids)
            tenant = await ensure_default_tenant(pool, ids, known)
            for org_id in await organizations(pool):
                await install_native_tools(pool, OrgScope(org_id=org_id), ids)
            return tenant
    except asyncpg.InsufficientPrivilegeError as error:
        raise BringUpFailed(
            f"The database user may not do what the migration needs on {named(url)}: {error}. If it is the extension, "
            "let an administrator run: CREATE EXTENSION vector"
        ) from error
    except asyncpg.PostgresError as error:
        raise BringUpFailed(f"{named(url)} refused: {error}") from error


async def make_logins(url: str, logins: Logins) -> None:
    """The processes' logins, in the embedded server: members of one role each, under the passwords of its file."""
    connection = await _connect(url)
    try:
        await connection.execute(stretching())
        for login, role in ROLES.items():
            if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", login):
                await connection.execute(f"CREATE ROLE {login} NOINHERIT IN ROLE {role.value}")
            # Written anew at every start: the file of logins may be another than the last time.
            await connection.execute(f"ALTER ROLE {login} LOGIN PASSWORD '{logins.password(login)}'")
    finally:
        await connection.close()


async def check_role(url: str, role: Role, variable: str) -> None:
    """Whether the login of `variable` may act as `role`. Raises BringUpFailed with what to run."""
    connection = await _connect(url, variable)
    try:
        login = await connection.fetchval("SELECT session_user")
        await connection.execute(f"SET ROLE {role.value}")
    except (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError) as error:
        raise BringUpFailed(
            f"{variable}: the database user {login} may not act as {role.value}. Let an administrator run: "
            f'GRANT {role.value} TO "{login}"'
        ) from error
    finally:
        await connection.close()


async def _prove_provider(providers: KeyProviders) -> None:
    """Without it no organisation could be given keys, and those of which it wrapped them would open for nobody."""
    try:
        await providers.prove(providers.primary)
    except PlanVaultError as fault:
        raise BringUpFailed(
            f"The key provider {providers.primary} (PLANVAULT_KEK_PROVIDER) is of no use: {fault.detail} "
            "Look at the PLANVAULT_KEK_… settings; `planvault doctor` asks it again."
        ) from fault


async def _refuse_lost_keyset(pool: "asyncpg.Pool[asyncpg.Record]", keyset: Path) -> None:
    """A fresh keyset beside old data keys would open nothing, and its first use would hide the loss; so would another
    installation's, or one that a process made because it found none."""
    rows = await pool.fetch(
        "SELECT DISTINCT k.wrapped_by FROM data_keys k JOIN organizations o ON o.id = k.org_id"
        " WHERE k.purpose IN ('org', 'hmac') AND k.status <> 'destroyed' AND o.dek_wrap = 'local'"
    )
    wrapped_by = {row["wrapped_by"] for row in rows}
    if not wrapped_by:
        return
    wanted = "Restore the file from a backup, or set PLANVAULT_KEYSET_PATH; without it the data cannot be read."
    try:
        held = set(load(keyset).keys)
    except FileNotFoundError:
        raise BringUpFailed(
            f"The database holds encrypted data, but its keyset {keyset} is missing. {wanted}"
        ) from None
    if wrapped_by - held:
        raise BringUpFailed(
            f"The keyset {keyset} is not this database's: it does not hold {', '.join(sorted(wrapped_by - held))}. "
            f"{wanted}"
        )


async def _connect(url: str, variable: str = "DATABASE_URL") -> "asyncpg.Connection[asyncpg.Record]":
    try:
        return await asyncpg.connect(
            url, timeout=CONNECT_TIMEOUT_S, server_settings={"application_name": "planvault/up"}
        )
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as error:
        raise BringUpFailed(f"{named(url)} does not accept the user and password of {variable}.") from error
    except asyncpg.InvalidCatalogNameError as error:
        raise BringUpFailed(f"There is no such database on the server: {named(url)}. Create it first.") from error
    except (ValueError, asyncpg.InterfaceError) as error:
        # `from None`: these quote the URL, password and all.
        raise BringUpFailed(f"{variable} is not a Postgres URL ({type(error).__name__}).") from None
    except (TimeoutError, OSError, asyncpg.PostgresError) as error:
        reason = str(error) or type(error).__name__
        raise BringUpFailed(f"The database {named(url)} does not answer: {reason}") from error


def _parsed(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _fits(version: str) -> bool:
    return _parsed(version) >= OLDEST_PGVECTOR

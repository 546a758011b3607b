"""Examines the machine and the installation: each finding says what is wrong and what to do."""

import asyncio
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal, TypeAlias

import psutil

from cluster import credentials, database, installation, postgres, ray_head, state
from cluster.data_dir import DataDir, check, existing
from cluster.ports import is_free
from cluster.server_user import server_user
from cluster.topology import DEFAULT_PORT, LOOPBACK
from planvault.crypto.assembly import key_providers
from planvault.crypto.kek import LocalKeyWrapper
from planvault.crypto.providers import KeyProviders
from planvault.errors import BringUpFailed, PlanVaultError
from planvault.settings import Settings
from planvault.storage.files.folder import EventFolder
from planvault.storage.redis_link import LOST, open_link

Verdict: TypeAlias = Literal["ok", "warning", "failed"]

RAY_SERIES = "2.60."
MEMORY_NEEDED_MIB = 3_072
DISK_NEEDED_MIB = 2_048


@dataclass(frozen=True, slots=True)
class Finding:
    subject: str
    verdict: Verdict
    detail: str

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def examine(settings: Settings) -> list[Finding]:
    """Everything that can be known without starting anything."""
    data, database_url = existing(settings.data_dir), settings.database_url
    return [
        _python(),
        _ray(),
        _torch(),
        *_root_packages(),
        _guarded("data directory", lambda: _data_dir(data, database_url)),
        _guarded("credentials", lambda: _credentials(data)),
        _guarded("database", lambda: _database(data, database_url)),
        *_key_providers(settings),
        _session_events(settings.events_folder),
        _redis(settings.redis_url),
        _port(data),
        _memory(),
        _disk(data),
    ]


def _guarded(subject: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except BringUpFailed as failure:
        return Finding(subject, "failed", failure.detail)


def _python() -> Finding:
    return Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")


def _ray() -> Finding:
    version = metadata.version("ray")
    if not version.startswith(RAY_SERIES):
        return Finding(
            "ray", "failed", f"{version}; this build is made for {RAY_SERIES}x: pip install 'ray=={RAY_SERIES}*'"
        )
    return Finding("ray", "ok", version)


def _torch() -> Finding:
    """From the package's data, not by importing it: that takes seconds."""
    version = metadata.version("torch")
    cuda = any(name.startswith(("nvidia-", "nvidia_")) for name in _distributions())
    if not cuda:
        return Finding("torch", "ok", f"{version}, for the CPU")
    detail = f"{version}, with CUDA libraries: fine for a GPU, gigabytes too many without one (docs/installation.md)"
    return Finding("torch", "ok" if Path("/dev/nvidiactl").exists() else "warning", detail)


def _root_packages() -> Iterator[Finding]:
    found = installation.faults()
    for fault in found:
        yield Finding("packages", "failed", fault)
    if not found:
        yield Finding("packages", "ok", f"{len(installation.ROOTS)} root packages, claimed by nobody else")


def _data_dir(data: DataDir, database_url: str) -> Finding:
    check(data.root, None if database_url else server_user())
    return Finding("data directory", "ok", f"{data.root}{'' if data.root.exists() else ' (will be made)'}")


def _credentials(data: DataDir) -> Finding:
    found = credentials.read(data.credentials)
    return Finding("credentials", "ok", "none yet" if found is None else f"{data.credentials}, mode 0600")


def _database(data: DataDir, database_url: str) -> Finding:
    if database_url:
        facts = asyncio.run(database.check(database_url))
        where = database.named(database_url)
        return Finding("database", "ok", f"{where}: Postgres {facts.postgres}, pgvector {facts.pgvector}")
    server = postgres.embedded(data, server_user())
    return Finding("database", "ok", f"embedded, {'running' if server.pid() is not None else 'stopped'}")


def _key_providers(settings: Settings) -> Iterator[Finding]:
    """Whether each that the settings name wraps a key and gives it back. Makes no keyset: that is for `up`."""
    subject = "key providers"
    if settings.kek_provider == LocalKeyWrapper.name and not settings.keyset.exists():
        yield Finding(subject, "ok", f"local: {settings.keyset} (will be made)")
        return
    try:
        yield from asyncio.run(_proven(key_providers(settings)))
    except BringUpFailed as fault:
        yield Finding(subject, "failed", fault.detail)


async def _proven(providers: KeyProviders) -> list[Finding]:
    found = []
    for name in sorted(providers.names):
        try:
            await providers.prove(name)
        except PlanVaultError as fault:
            verdict: Verdict = "failed" if name == providers.primary else "warning"
            found.append(Finding("key providers", verdict, f"{name} is of no use: {fault.detail}"))
        else:
            found.append(Finding("key providers", "ok", f"{name} wraps and unwraps"))
    return found


def _session_events(folder: Path | None) -> Finding:
    """Whether the folder is this database's is said at the start and by `status`: that takes the database."""
    if folder is None:
        return Finding("session events", "ok", "rows of the database (PLANVAULT_SESSION_STORE=postgres)")
    if not folder.exists():
        return Finding("session events", "ok", f"files in {folder} (will be made)")
    problem = EventFolder(folder).problem()
    if problem is not None:
        return Finding("session events", "failed", problem)
    return Finding("session events", "ok", f"files in {folder}, mode 0700, labelled")


def _redis(url: str) -> Finding:
    """Never more than a warning: nothing is lost without it."""
    if not url:
        return Finding("redis", "ok", "none (REDIS_URL is empty): Postgres does its part")
    try:
        asyncio.run(_ping(url))
    except LOST as fault:
        return Finding(
            "redis", "warning", f"REDIS_URL does not answer ({type(fault).__name__}): Postgres does its part"
        )
    return Finding("redis", "ok", "answers")


async def _ping(url: str) -> None:
    async with open_link(url) as link:
        assert link is not None
        await link.ping()


def _port(data: DataDir) -> Finding:
    running = state.read(data)
    if running is not None and running.ray is not None and ray_head.runs(running.ray):
        return Finding("port", "ok", f"the platform answers at {running.base_url}")
    if is_free(LOOPBACK, DEFAULT_PORT):
        return Finding("port", "ok", f"{DEFAULT_PORT} is free")
    return Finding("port", "warning", f"{DEFAULT_PORT} is in use: choose another with `planvault up --port`")


def _memory() -> Finding:
    free = psutil.virtual_memory().available // 2**20
    if free < MEMORY_NEEDED_MIB:
        return Finding("memory", "warning", f"{free} MiB available; the idle platform takes up to {MEMORY_NEEDED_MIB}")
    return Finding("memory", "ok", f"{free} MiB available, {os.cpu_count()} cores")


def _disk(data: DataDir) -> Finding:
    folder = next(path for path in (data.root, *data.root.parents) if path.exists())
    free = shutil.disk_usage(folder).free // 2**20
    if free < DISK_NEEDED_MIB:
        return Finding("disk", "warning", f"{free} MiB free in {folder}; Ray stops placing work on a full disk")
    return Finding("disk", "ok", f"{free} MiB free in {folder}")


def _distributions() -> set[str]:
    return {str(found.metadata["Name"]).lower() for found in metadata.distributions()}

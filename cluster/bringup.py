"""Brings the platform up, in order, and leaves nothing running when a step fails.

Postgres → migrations → default tenant → credentials ┐
Ray head ────────────────────────────────────────────┴→ actors, Serve applications → /health says ready
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit
from uuid import UUID

from cluster import actors_driver, database, postgres, ray_head, serving, state
from cluster import credentials as files
from cluster.credentials import Credentials
from cluster.data_dir import DataDir, locked, prepare
from cluster.environment import process_environment, urls_of
from cluster.health import wait_until_ready
from cluster.installation import refuse_foreign_packages
from cluster.logins import APP, PLATFORM, kept
from cluster.patience import patience
from cluster.ports import free_port, is_free
from cluster.processes import ProcessSession
from cluster.ray_head import RayHead
from cluster.server_user import server_user
from cluster.teardown import stop_everything
from cluster.topology import APPS, DEFAULT_PORT, LOOPBACK, Part
from models.ids import OrgId, ProjectId
from planvault.auth.keys import new_admin_token
from planvault.auth.oidc_policy import oidc_policy
from planvault.errors import BringUpFailed
from planvault.settings import Settings
from planvault.storage.bootstrap import TenantCredentials
from planvault.storage.pool import Role

APPS_TIMEOUT_S = 120.0
READY_TIMEOUT_S = 60.0

Report: TypeAlias = Callable[[Part, str], None]
"""Called with a part's name and what it is doing; an empty text means that the part is ready."""


@dataclass(frozen=True, slots=True)
class UpOptions:
    data_dir: Path
    port: int = DEFAULT_PORT
    database_url: str = ""  # empty: the embedded Postgres
    keep_owner: bool = False  # the caller stays and takes the platform down at its end
    environment: Mapping[str, str] | None = None  # default: this process's


def up(options: UpOptions, report: Report) -> Credentials:
    """Start everything and wait until it is healthy.

    Raises BringUpFailed with the cause and the way out; what had been started is down again by then.
    """
    refuse_foreign_packages()
    oidc_policy(Settings())  # a replica that cannot start would say it too late
    patience(os.environ if options.environment is None else options.environment)  # so would the part that waits
    user = None if options.database_url else server_user()
    data = prepare(options.data_dir, user)
    server = None if options.database_url else postgres.embedded(data, user)
    with locked(data):
        _refuse_second(data)
        if not is_free(LOOPBACK, options.port):
            raise BringUpFailed(f"Port {options.port} is in use. Choose another with --port.")
        try:
            return _Bringup(options, data, server, report).run()
        except BaseException:
            stop_everything(data, server)
            raise


class _Bringup:
    """One bring-up: what the steps hand to each other."""

    def __init__(self, options: UpOptions, data: DataDir, server: postgres.Server | None, report: Report) -> None:
        self._data = data
        self._server = server
        self._report = report
        self._port = options.port
        if server is not None:
            kept(data.logins)  # before anything asks for a URL
        self._database_url = options.database_url if server is None else server.url()
        self._known = files.read(data.credentials)
        self._admin_token = self._known.admin_token if self._known else new_admin_token().text
        inherited = os.environ if options.environment is None else options.environment
        self._environment = process_environment(
            # Where services call back, and operators, unless somebody says so.
            {
                "PLANVAULT_PUBLIC_URL": self._base_url,
                "PLANVAULT_SUPERADMIN_PORT": str(_operators_port(self._known)),
                **inherited,
            },
            data,
            database=self._urls(),
            admin_token_sha256=files.sha256(self._admin_token),
            metric_port=free_port(LOOPBACK),
        )
        owner = os.getpid() if options.keep_owner else None
        self._state = state.PlatformState(
            phase="starting", base_url=self._base_url, watched=server is not None, owner_pid=owner
        )

    def _urls(self) -> dict[str, str]:
        if self._server is None:
            settings = Settings()
            return urls_of(self._database_url, settings.app_database_url, settings.platform_database_url)
        app, platform = (self._server.url(login=login) for login in (APP, PLATFORM))
        return urls_of(self._database_url, app, platform)

    @property
    def _base_url(self) -> str:
        return f"http://{LOOPBACK}:{self._port}"

    def run(self) -> Credentials:
        if self._server is None:
            asyncio.run(database.check(self._database_url))  # what cannot work is said before anything starts
        files.ray_token(self._data.ray_token)
        state.write(self._data, self._state)
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="up") as pool:
            tenant, head = pool.submit(self._start_database), pool.submit(self._start_ray)
            # Both are waited for before either error is raised, so that no thread starts something behind the clean-up.
            errors = [future.exception() for future in (tenant, head)]
        for error in errors:
            if error is not None:
                raise error
        self._start_applications(head.result())
        made = self._credentials(tenant.result())
        files.write(self._data.credentials, made)
        self._report("health", "waiting for every part")
        wait_until_ready(self._base_url, timeout_s=READY_TIMEOUT_S * patience(self._environment))
        self._report("health", "")
        self._record(phase="healthy")
        return made

    def _start_database(self) -> TenantCredentials:
        self._report("database", "starting" if self._server else "connecting")
        if self._server is not None:
            self._server.start()
            asyncio.run(database.create_database(self._server.url("postgres")))
        self._report("database", "migrating")
        settings = Settings(data_dir=self._data.root)
        made = database.ready(self._database_url, settings, _tenant(self._known))
        tenant = asyncio.run(made)
        asyncio.run(self._roles(settings))
        self._report("database", "")
        return tenant

    async def _roles(self, settings: Settings) -> None:
        """The processes' logins: made in the embedded server, tried on one that somebody else keeps."""
        if self._server is not None:
            await database.make_logins(self._server.url(), kept(self._data.logins))
            return
        # Where nobody gave them logins they come as the owner, who lays its rights down (docs/tenancy.md).
        for name, url, role in (
            ("PLANVAULT_APP_DATABASE_URL", settings.app_database_url, Role.TENANT),
            ("PLANVAULT_PLATFORM_DATABASE_URL", settings.platform_database_url, Role.PLATFORM),
        ):
            await database.check_role(url or self._database_url, role, name if url else "DATABASE_URL")

    def _start_ray(self) -> RayHead:
        self._report("ray", "starting")
        head = ray_head.start(self._data, self._environment, self._ray_launched, watched=self._state.watched)
        self._record(ray_address=head.address, dashboard_url=head.dashboard_url)
        self._report("ray", "")
        return head

    def _ray_launched(self, session: ProcessSession, folder: Path) -> None:
        self._record(ray_sid=session.sid, ray_started_at=session.started_at, ray_dir=folder)

    def _start_applications(self, head: RayHead) -> None:
        serve = serving.ServeApi(head.dashboard_url, files.ray_token(self._data.ray_token))
        for app in APPS:
            self._report(app, "deploying")
        self._report("actors", "starting")
        with actors_driver.started(head.address, self._environment, self._data.logs / "actors-start.log") as actors:
            serve.deploy(serving.config(self._port))
            actors.wait()
        self._report("actors", "")
        limit_s = APPS_TIMEOUT_S * patience(self._environment)
        serve.wait_until_running(APPS, lambda app: self._report(app, ""), timeout_s=limit_s)

    def _credentials(self, tenant: TenantCredentials) -> Credentials:
        return Credentials(
            base_url=self._base_url,
            org_id=str(tenant.org_id),
            project_id=str(tenant.project_id),
            project_key=tenant.project_key,
            admin_token=self._admin_token,
            superadmin_url=_superadmin_url(self._environment),
        )

    def _record(self, **changes: object) -> None:
        self._state = state.write(self._data, self._state.model_copy(update=changes))


def _operators_port(known: Credentials | None) -> int:
    """That of the last start where nobody has taken it: operators keep their address, as clients keep theirs."""
    last = urlsplit(known.superadmin_url).port if known else None
    return last if last and is_free(LOOPBACK, last) else free_port(LOOPBACK)


def _superadmin_url(environment: Mapping[str, str]) -> str:
    """Empty where the operator has switched it off."""
    port = environment["PLANVAULT_SUPERADMIN_PORT"]
    host = environment.get("PLANVAULT_SUPERADMIN_HOST", LOOPBACK)
    return "" if port == "0" else f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _refuse_second(data: DataDir) -> None:
    """A running platform stays as it is; what a bring-up or a crash left behind is cleared away."""
    found = state.read(data)
    if found is None:
        return
    if found.phase == "healthy" and found.ray is not None and ray_head.runs(found.ray):
        raise BringUpFailed(
            f"PlanVault already runs in {data.root}, at {found.base_url}. "
            "See `planvault status`; stop it with `planvault down`, or choose another --data-dir and --port."
        )
    stop_everything(data, None)


def _tenant(known: Credentials | None) -> TenantCredentials | None:
    if known is None:
        return None
    return TenantCredentials(OrgId(UUID(known.org_id)), ProjectId(UUID(known.project_id)), known.project_key)

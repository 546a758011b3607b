"""Every kind of caller there is, with real credentials of two organisations."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from models.access import PROJECT_PERMISSIONS, Asker, Role, User
from models.tenants import OrgScope, ProjectScope
from planvault.auth.keys import new_project_key
from planvault.auth.principals import Principal, person
from planvault.storage.pool import Connection
from planvault.storage.tenancy import within
from tests.integration.serve_apps.conftest import ADMIN, ObservedDeps, make_tenant

NOBODY = "nobody"  # no credential, or one that opens nothing
ISSUER = "https://id.example.com"


@dataclass(frozen=True)
class Who:
    """A caller as this test describes it; what the application makes of the credential is what is tested.

    `kind` is a kind of the policy, or NOBODY. `org`, `project`: where it belongs, None: nowhere, or everywhere.
    """

    name: str
    auth: str
    kind: str
    org: UUID | None = None
    project: UUID | None = None
    scopes: tuple[str, ...] = ()
    role: Role | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": self.auth} if self.auth else {}


@dataclass(frozen=True)
class World:
    home: ProjectScope
    sibling: ProjectScope  # another project of the same organisation
    away: ProjectScope  # of another organisation
    cast: Mapping[str, Who]
    deps: ObservedDeps


class Doorman:
    """The authenticator, and beside it people whose tokens an issuer is taken to have signed."""

    def __init__(self, deps: ObservedDeps, people: Mapping[str, Principal]) -> None:
        self._real = deps.authenticator
        self.people = people

    async def authenticate(self, authorization: str | None) -> Principal:
        known = self.people.get(authorization or "")
        return known if known is not None else await self._real.authenticate(authorization)


async def make_world(deps: ObservedDeps) -> World:
    home, away = (await make_tenant(deps)).scope, (await make_tenant(deps)).scope
    another = await deps.tenants.create_project(OrgScope(org_id=home.org_id), "another")
    sibling = ProjectScope(org_id=home.org_id, project_id=another.id)
    people: dict[str, Principal] = {}
    found = [
        *strangers(),
        *await _keys(deps, home, sibling, away),
        Who("the admin token", f"Bearer {ADMIN.text}", "admin", role=Role.OWNER),
        *await _people(deps, people, home, away),
        *await _services(deps, home, away),
    ]
    everybody = {who.name: who for who in found}
    assert len(everybody) == len(found)
    deps = replace(deps, authenticator=Doorman(deps, people))  # type: ignore[arg-type]
    return World(home, sibling, away, everybody, deps)


def strangers() -> list[Who]:
    return [
        Who("nobody", "", NOBODY),
        Who("garbage", "Bearer nonsense", NOBODY),
        Who("another scheme", "Basic eDp5", NOBODY),
        Who("a key that never was", f"Bearer {new_project_key().text}", NOBODY),
        Who("an unsigned token", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.", NOBODY),
        Who("the admin token's hash", f"Bearer {ADMIN.sha256.hex()}", NOBODY),
    ]


async def _keys(deps: ObservedDeps, home: ProjectScope, sibling: ProjectScope, away: ProjectScope) -> list[Who]:
    found = [await _key(deps, f"key with {scope}", home, scope) for scope in sorted(PROJECT_PERMISSIONS)]
    found += [await _key(deps, "key with everything", home, "hrn:project:*")]
    found += [await _key(deps, "key that reads", home, "hrn:project:*:read", "hrn:project:session:history:read")]
    found += [await _key(deps, "key of the sibling", sibling, "hrn:project:*")]
    found += [await _key(deps, "key of another organisation", away, "hrn:project:*")]
    # What no API gives out, were it in the table all the same.
    hostile = {"no scopes": [], "stars": ["*", "hrn:*", "hrn:*:*", "hrn:org:*", "hrn:org:members:write"]}
    for name, scopes in hostile.items():
        made, key = await deps.api_keys.create(home, name, ["hrn:project:*"])
        await deps.database.execute("UPDATE api_keys SET scopes = $2 WHERE id = $1", made.id, scopes)
        found.append(
            Who(f"key with {name}", f"Bearer {key.text}", "project_key", home.org_id, home.project_id, tuple(scopes))
        )
    expired, text = await deps.api_keys.create(home, "expired", ["hrn:project:*"])
    await deps.database.execute("UPDATE api_keys SET expires_at = now() WHERE id = $1", expired.id)
    found.append(Who("expired key", f"Bearer {text.text}", NOBODY))
    revoked, text = await deps.api_keys.create(home, "revoked", ["hrn:project:*"])
    await deps.api_keys.revoke(home, revoked.id)
    found.append(Who("revoked key", f"Bearer {text.text}", NOBODY))
    rotated, before = await deps.api_keys.create(home, "rotated", ["hrn:project:*"])
    _, after = await deps.api_keys.rotate(home, rotated.id)
    found.append(Who("a key's text before its rotation", f"Bearer {before.text}", NOBODY))
    held, before = await deps.api_keys.create(home, "retiring", ["hrn:project:*"])
    await deps.api_keys.rotate(home, held.id, grace=timedelta(hours=1))
    place = ("project_key", home.org_id, home.project_id, ("hrn:project:*",))
    return [
        *found,
        Who("rotated key", f"Bearer {after.text}", *place),
        Who("a key's text in its grace period", f"Bearer {before.text}", *place),
    ]


async def _key(deps: ObservedDeps, name: str, scope: ProjectScope, *scopes: str) -> Who:
    _, key = await deps.api_keys.create(scope, name.replace("*", "all"), list(scopes))
    return Who(name, f"Bearer {key.text}", "project_key", scope.org_id, scope.project_id, scopes)


async def _people(
    deps: ObservedDeps, people: dict[str, Principal], home: ProjectScope, away: ProjectScope
) -> list[Who]:
    async def user(name: str, scope: ProjectScope | None, role: Role | None) -> Who:
        signed_in = await deps.members.signed_in(
            ISSUER, name, email=f"{name}@example.com", email_verified=True, name=""
        )
        if scope is not None and role is not None:
            await join(deps, scope, signed_in, role)
        auth = f"Bearer person:{name}"
        people[auth] = person(signed_in)
        return Who(f"person {name}", auth, "user", scope.org_id if scope else None, role=role)

    found = [await user(role.lower(), home, role) for role in Role]
    found += [await user("owner-elsewhere", away, Role.OWNER), await user("member-nowhere", None, None)]
    gone = await user("removed", home, Role.ADMIN)
    removed = people[gone.auth].user_id
    assert removed is not None

    async def told(_: Connection, __: object) -> None: ...

    await deps.members.remove(home, removed, Asker(role=Role.OWNER), told)
    return [*found, replace(gone, org=None, role=None)]


async def join(deps: ObservedDeps, scope: OrgScope, user: User, role: Role) -> None:
    await deps.database.execute(
        "INSERT INTO members (org_id, user_id, role) VALUES ($1, $2, $3)", scope.org_id, user.id, role.value
    )


async def _services(deps: ObservedDeps, home: ProjectScope, away: ProjectScope) -> list[Who]:
    async def service(name: str, scope: ProjectScope, role: Role) -> tuple[Who, UUID]:
        async with within(deps.pool, scope) as connection:
            made, token = await deps.service_tokens.create(
                connection, OrgScope(org_id=scope.org_id), name, role, timedelta(days=1), by=Role.OWNER, created_by="t"
            )
        return Who(f"service {name}", f"Bearer {token.text}", "service", scope.org_id, role=role), made.id

    found = [(await service(role.lower(), home, role))[0] for role in Role if role is not Role.OWNER]
    found.append((await service("of another organisation", away, Role.ADMIN))[0])
    for name, column in (("expired", "expires_at"), ("revoked", "revoked_at")):
        who, token_id = await service(name, home, Role.ADMIN)
        past = datetime.now(UTC) - timedelta(seconds=1)
        await deps.database.execute(f"UPDATE service_tokens SET {column} = $2 WHERE id = $1", token_id, past)
        found.append(replace(who, kind=NOBODY))
    return found

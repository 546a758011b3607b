"""Callers of every kind, whose rows come from dictionaries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from models.access import ALL_OF_PROJECT, ROLE_PERMISSIONS, Role, User
from models.ids import KeyId, OrgId, ProjectId, ServiceTokenId, UserId
from planvault.auth.authenticator import Authenticator, KeyRecord
from planvault.auth.keys import NewKey, new_admin_token, new_project_key, new_service_token
from planvault.auth.oidc_claims import Identity
from planvault.auth.principals import PrincipalKind
from planvault.auth.service_tokens import ServiceTokenRecord
from planvault.auth.sign_in import SignIn
from planvault.auth.tenancy import CachedTenancy

ORG, PROJECT, USER = OrgId(UUID(int=1)), ProjectId(UUID(int=2)), UserId(UUID(int=3))
_TOKEN = "x" * 900  # a signed token of an issuer is about so long


class Callers:
    """A door that knows one credential of each kind, and an organisation in which each may do all that its kind can."""

    def __init__(self) -> None:
        key, service, admin = new_project_key(), new_service_token(), new_admin_token()
        self.door = Authenticator(
            _Keys(key),
            admin.sha256.hex(),
            services=_Services(service),
            sign_in=SignIn(_Issuer(), _People()),
            keep_admin_token=True,
        )
        self.tenancy = CachedTenancy(_Tenants())
        self.credentials = {
            "project key": (f"Bearer {key.text}", PrincipalKind.PROJECT_KEY, (ALL_OF_PROJECT,)),
            "admin token": (f"Bearer {admin.text}", PrincipalKind.ADMIN, ROLE_PERMISSIONS[Role.OWNER]),
            "person": (f"Bearer {_TOKEN}", PrincipalKind.USER, ROLE_PERMISSIONS[Role.OWNER]),
            "service token": (f"Bearer {service.text}", PrincipalKind.SERVICE, ROLE_PERMISSIONS[Role.ADMIN]),
        }


class _Keys:
    def __init__(self, key: NewKey) -> None:
        self._key = key

    async def find(self, sha256: bytes) -> KeyRecord | None:
        assert sha256 == self._key.sha256
        return KeyRecord(KeyId(UUID(int=4)), ORG, PROJECT, "benchmark", (ALL_OF_PROJECT,))


class _Services:
    def __init__(self, token: NewKey) -> None:
        self._token = token

    async def find(self, sha256: bytes) -> ServiceTokenRecord | None:
        assert sha256 == self._token.sha256
        ends_at = datetime.now(UTC) + timedelta(days=1)
        return ServiceTokenRecord(ServiceTokenId(UUID(int=5)), ORG, "benchmark", Role.ADMIN, ends_at, 86_400.0)


class _Issuer:
    """A token that was verified before is found by its digest: what planvault.auth.oidc does with a warm memory."""

    def __init__(self) -> None:
        ends_at = datetime.now(UTC) + timedelta(hours=1)
        self._known: dict[bytes, Identity] = {}
        self._identity = Identity("https://id", "1", "ada@example.com", True, "Ada", ends_at, False)

    async def identify(self, text: str, sha256: bytes) -> Identity:
        return self._known.setdefault(sha256, self._identity)


class _People:
    async def signed_in(self, issuer: str, subject: str, *, email: str, email_verified: bool, name: str) -> User:
        return User(id=USER, issuer=issuer, subject=subject, email=email, email_verified=email_verified, name=name)


class _Tenants:
    async def organization_exists(self, org_id: OrgId) -> bool:
        return org_id == ORG

    async def organization_of(self, project_id: ProjectId) -> OrgId | None:
        return ORG if project_id == PROJECT else None

    async def role_of(self, org_id: OrgId, user_id: UserId) -> Role | None:
        return Role.OWNER

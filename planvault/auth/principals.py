"""Who is asking: a credential that was checked, and what it says about its bearer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from models.access import Maker, MakerKind, Role, User
from models.ids import KeyId, OrgId, ProjectId, ServiceTokenId, UserId


class PrincipalKind(StrEnum):
    PROJECT_KEY = "project_key"
    ADMIN = "admin"  # the static admin token of the installation
    USER = "user"  # a person whom an issuer has signed in
    SERVICE = "service"  # a service token of one organisation


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose credential was checked. `actor` is its label in history and audit; it holds no credential.

    What it may do where is planvault.auth.permissions' to say: the static admin token belongs to no organisation, and
    a person to several, in each with the role that is looked up at the time of the request.
    """

    kind: PrincipalKind
    actor: str
    org_id: OrgId | None = None  # PROJECT_KEY, SERVICE
    project_id: ProjectId | None = None  # PROJECT_KEY
    key_id: UUID | None = None  # PROJECT_KEY: the key's id; SERVICE: the token's
    scopes: tuple[str, ...] = ()  # PROJECT_KEY
    role: Role | None = None  # SERVICE
    user_id: UserId | None = None  # USER
    email: str = ""  # USER: lower case, and only where the issuer has verified it
    expires_at: datetime | None = None  # where the credential ends by itself: streams end with it
    is_operator: bool = False  # USER, ADMIN: runs the installation, and may create and delete organisations

    @property
    def holder(self) -> str:
        """Whose credential it is, by id: a key's stays the same through rotations, a label may be another's as well."""
        return f"{self.kind}:{self.key_id or self.user_id or ''}"

    @property
    def proven_operator(self) -> str:
        """The person behind the request, where the credential proves who it is; empty where it only may be claimed."""
        return self.actor if self.kind is PrincipalKind.USER else ""

    @property
    def maker(self) -> Maker:
        """Who is shown the text of a key that this caller makes."""
        match self.kind:
            case PrincipalKind.USER:
                return Maker(kind=MakerKind.PERSON, user_id=self.user_id)
            case PrincipalKind.SERVICE if self.key_id is not None:
                return Maker(kind=MakerKind.SERVICE, token_id=ServiceTokenId(self.key_id))
            case PrincipalKind.ADMIN:
                return Maker(kind=MakerKind.ADMIN)
        return Maker()


def project_key(
    key_id: KeyId,
    org_id: OrgId,
    project_id: ProjectId,
    name: str,
    scopes: tuple[str, ...],
    expires_at: datetime | None = None,
) -> Principal:
    return Principal(
        PrincipalKind.PROJECT_KEY,
        actor=f"key:{name}",
        org_id=org_id,
        project_id=project_id,
        key_id=key_id,
        scopes=scopes,
        expires_at=expires_at,
    )


def admin_token() -> Principal:
    return Principal(PrincipalKind.ADMIN, actor="admin-token", is_operator=True)


def person(user: User, *, expires_at: datetime | None = None, is_operator: bool = False) -> Principal:
    """A person signed in by `user.issuer`. Their label is the e-mail where it is verified, else who they are there.

    A subject is unique only at its issuer, and an e-mail that nobody has verified is anybody's: neither stands alone.
    """
    verified = user.email if user.email_verified else ""
    return Principal(
        PrincipalKind.USER,
        actor=verified or f"{user.subject} ({user.issuer})",
        user_id=user.id,
        email=verified,
        expires_at=expires_at,
        is_operator=is_operator,
    )


def service(token_id: UUID, org_id: OrgId, name: str, role: Role, expires_at: datetime | None = None) -> Principal:
    """A service token of one organisation. Raises ValueError for OWNER: a machine never owns an organisation."""
    if role is Role.OWNER:
        raise ValueError("A service token's role is ADMIN at most")
    return Principal(
        PrincipalKind.SERVICE,
        actor=f"service:{name}",
        org_id=org_id,
        key_id=token_id,
        role=role,
        expires_at=expires_at,
    )

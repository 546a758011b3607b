"""Projects, keys, secrets and settings on the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StringConstraints

from models.plans import PlannerMode
from models.policies import EgressPolicy, OrgSettings, PlanApprovalMode, ProjectSettings, RetentionSettings, RunLimits
from models.runtime_policy import RuntimePolicy
from models.tenants import DeletedProject, Project
from planvault.errors import FieldError, InvalidInput
from planvault.net.ceiling import EgressCeiling
from serve_apps.schemas.base import Body, Name, Reply
from serve_apps.schemas.rate_limits import RateLimitsIn
from serve_apps.schemas.retrieval import RetrievalIn
from serve_apps.schemas.runtime_policy import RuntimePolicyIn

Host = Annotated[str, StringConstraints(pattern=r"^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$", max_length=253)]


class EgressIn(Body):
    allow_loopback: StrictBool = False
    allow_private: StrictBool = False
    allow_hosts: list[Host] = Field(default_factory=list, max_length=200)


def check_ceiling(egress: EgressPolicy, ceiling: EgressCeiling) -> None:
    """An organisation opens nothing that the installation keeps shut. Raises InvalidInput that names the setting."""
    faults = [
        FieldError(
            f"/egress/{name}", f"the installation keeps these addresses shut: its operator opens them with {opens}"
        )
        for name, asked, allowed, opens in (
            ("allowLoopback", egress.allow_loopback, ceiling.allow_loopback, "PLANVAULT_EGRESS_ALLOW_LOOPBACK"),
            ("allowPrivate", egress.allow_private, ceiling.allow_private, "PLANVAULT_EGRESS_ALLOW_PRIVATE"),
        )
        if asked and not allowed
    ]
    if faults:
        raise InvalidInput("The egress policy asks for more than the installation allows.", errors=tuple(faults))


def check_sign_in(policy: RuntimePolicy, pointer: str, *, people_sign_in: bool) -> None:
    """Approvers who have signed in are asked for only where somebody can. Raises InvalidInput below `pointer`."""
    if policy.signed_in_approvers_only and not people_sign_in:
        fault = FieldError(
            f"{pointer}/runtimePolicy/signedInApproversOnly",
            "nobody can sign in at this installation, so nobody could approve: its operator sets PLANVAULT_OIDC_ISSUER",
        )
        raise InvalidInput("The runtime policy asks for people who sign in.", errors=(fault,))


class RetentionIn(Body):
    """Days for which things are kept."""

    sessions_days: StrictInt = Field(
        default=90, ge=1, le=1_461, description="Of a session, after anything happened in it last."
    )
    audit_days: StrictInt = Field(default=365, ge=1, le=1_461, description="Of a row of the audit log.")


class OrgSettingsIn(Body):
    """Replaces the settings; what is left out goes back to its default."""

    egress: EgressIn = EgressIn()
    runtime_policy: RuntimePolicyIn = RuntimePolicyIn()
    retrieval: RetrievalIn = RetrievalIn()
    retention: RetentionIn = RetentionIn()
    rate_limits: RateLimitsIn = RateLimitsIn()

    def settings(self) -> OrgSettings:
        """Raises InvalidInput."""
        egress = self.egress
        return OrgSettings(
            runtime_policy=self.runtime_policy.policy("/runtimePolicy", RuntimePolicy()),
            retrieval=self.retrieval.overrides("/retrieval"),
            retention=RetentionSettings(**self.retention.model_dump()),
            rate_limits=self.rate_limits.chosen(),
            egress=EgressPolicy(
                allow_loopback=egress.allow_loopback,
                allow_private=egress.allow_private,
                allow_hosts=tuple(egress.allow_hosts),
            ),
        )


class RunLimitsIn(Body):
    max_tool_calls: StrictInt = Field(default=200, ge=1, le=100_000)
    max_loop_iterations: StrictInt = Field(default=1_000, ge=1, le=1_000_000)
    max_wall_clock_s: StrictFloat = Field(default=3_600.0, gt=0, le=2_592_000)
    max_result_bytes: StrictInt = Field(default=20 * 1024 * 1024, ge=1_024, le=256 * 1024 * 1024)
    reauth_expires_s: StrictFloat = Field(default=604_800.0, gt=0, le=31_536_000)
    max_attempts: StrictInt = Field(default=3, ge=1, le=10)
    max_parallel_calls: StrictInt = Field(default=16, ge=1, le=64)


class ProjectSettingsIn(Body):
    """Replaces the settings; what is left out goes back to its default."""

    plan_approval_mode: PlanApprovalMode = PlanApprovalMode.REQUIRE
    runtime_policy: RuntimePolicyIn = RuntimePolicyIn()
    planner_mode: PlannerMode | None = None
    planner_model: Name | None = None
    retrieval_max_tools: StrictInt = Field(
        default=30, ge=1, le=200, description="The older spelling of retrieval.maxTools, which comes before it."
    )
    retrieval: RetrievalIn = RetrievalIn()
    max_schedule_horizon_days: StrictInt = Field(default=30, ge=1, le=3_650)
    max_scheduled_jobs: StrictInt = Field(default=1_000, ge=0, le=100_000)
    limits: RunLimitsIn = RunLimitsIn()

    def settings(self, organization: OrgSettings, pointer: str = "") -> ProjectSettings:
        """`organization`: whose policy holds too, its groups may be named. Raises InvalidInput below `pointer`."""
        return ProjectSettings(
            runtime_policy=self.runtime_policy.policy(f"{pointer}/runtimePolicy", organization.runtime_policy),
            plan_approval_mode=self.plan_approval_mode,
            planner_mode=self.planner_mode,
            planner_model=self.planner_model,
            retrieval_max_tools=self.retrieval_max_tools,
            retrieval=self.retrieval.overrides(f"{pointer}/retrieval"),
            max_schedule_horizon_days=self.max_schedule_horizon_days,
            max_scheduled_jobs=self.max_scheduled_jobs,
            limits=RunLimits(**self.limits.model_dump()),
        )


class CreateProject(Body):
    name: Name
    settings: ProjectSettingsIn = ProjectSettingsIn()


class ProjectOut(Reply):
    id: UUID
    name: str
    settings: ProjectSettings
    created_at: datetime

    @classmethod
    def of(cls, project: Project) -> "ProjectOut":
        return cls(id=project.id, name=project.name, settings=project.settings, created_at=project.created_at)


class DeletedProjectOut(Reply):
    id: UUID
    name: str
    deleted_at: datetime
    purge_after: datetime = Field(description="Until then it can be restored; then what it held is erased.")

    @classmethod
    def of(cls, project: DeletedProject) -> "DeletedProjectOut":
        return cls(**project.model_dump())


class SecretOut(Reply):
    name: str
    updated_at: datetime

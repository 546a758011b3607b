"""What an organisation, project or session has decided. Session over project over organisation over default."""

from enum import StrEnum

from pydantic import Field

from models.base import Frozen
from models.plans import PlannerMode
from models.rate_limits import RateLimits
from models.retrieval import DEFAULT_MAX_TOOLS, RetrievalOverrides
from models.runtime_policy import RuntimePolicy


class PlanApprovalMode(StrEnum):
    REQUIRE = "require"
    AUTO = "auto"


class EgressPolicy(Frozen):
    """Which addresses outbound requests may reach beside public ones."""

    allow_loopback: bool = False
    allow_private: bool = False
    allow_hosts: tuple[str, ...] = ()  # when not empty, only these hosts (exact or `*.example.com`)


class RunLimits(Frozen):
    """Bounds of one run."""

    max_tool_calls: int = 200
    max_loop_iterations: int = 1_000
    max_wall_clock_s: float = 3_600.0
    max_result_bytes: int = 20 * 1024 * 1024
    reauth_expires_s: float = 604_800.0  # how long a run waits for a credential that works
    max_attempts: int = 3  # of one call, where retries are allowed at all
    max_parallel_calls: int = 16  # reads in flight at once; 1: one call after the other (docs/concurrency.md)


class RetentionSettings(Frozen):
    """How long things are kept, in days."""

    sessions_days: int = Field(default=90, ge=1, le=1_461)  # after anything happened in them last
    audit_days: int = Field(default=365, ge=1, le=1_461)


class OrgSettings(Frozen):
    egress: EgressPolicy = EgressPolicy()
    rate_limits: RateLimits = RateLimits()
    runtime_policy: RuntimePolicy = RuntimePolicy()
    retrieval: RetrievalOverrides = RetrievalOverrides()
    retention: RetentionSettings = RetentionSettings()


class ProjectSettings(Frozen):
    runtime_policy: RuntimePolicy = RuntimePolicy()  # beside the organisation's: planvault.policy.effective
    plan_approval_mode: PlanApprovalMode = PlanApprovalMode.REQUIRE
    planner_mode: PlannerMode | None = None  # None: by the model's capability
    planner_model: str | None = None  # None: the platform's
    retrieval_max_tools: int = DEFAULT_MAX_TOOLS  # the older spelling: models.retrieval.effective_retrieval
    retrieval: RetrievalOverrides = RetrievalOverrides()
    max_schedule_horizon_days: int = 30  # how far ahead a job may be scheduled
    max_scheduled_jobs: int = 1_000  # that have an occurrence to come
    limits: RunLimits = RunLimits()


class SessionSettings(Frozen):
    auto_approve_plan: bool = False
    planner_mode: PlannerMode | None = None
    planner_model: str | None = None

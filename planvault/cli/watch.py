"""Follows one prompt from its first event to `done`, answering the run's questions on the way."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from models.base import JsonObject, JsonValue
from planvault.cli.client import ApiClient, SessionEvent
from planvault.cli.problem import ApiProblem
from planvault.cli.questions import NEEDS_APPROVAL, NEEDS_OPERATOR, Answers
from planvault.errors import Unavailable

Show = Callable[[SessionEvent], None]

DEADLINE_S = 300.0
SLOT_TRIES = 5
_HISTORY_ONLY = frozenset({"tool_selection", "plan_summary"})
_PLANNING = frozenset({"run_phase", "started", "error", "done"})  # what a run tells until its plan is there
_ASKING = frozenset(
    {"confirm_plan_required", "tool_approval_required", "approval_vote", "slots_required", "run_status"}
)
_ASKED_BY = {
    "slots": "slots_required",
    "plan": "confirm_plan_required",
    "tool": "tool_approval_required",
    "recovery": "run_status",
}
_CONFLICT, _INVALID = 409, 422
_NO_VOTE = frozenset({"OPERATOR_REQUIRED", "SELF_APPROVAL", "NOT_AN_APPROVER", "ALREADY_VOTED"})


@dataclass
class RunSeen:
    """What a viewer saw of one run. `status` is empty until its run ends or is left to an operator."""

    run_id: str = ""
    status: str = ""
    reply: str = ""
    error: str = ""
    planner: str = ""
    mode: str = ""
    tier: str = ""
    shortlist: list[str] = field(default_factory=list)
    succeeded: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    approval_asked: bool = False
    declined: bool = False  # the plan was rejected or its form cancelled, here
    slots_asked: list[str] = field(default_factory=list)
    to_plan_s: float | None = None  # from sending the prompt to seeing its plan
    planned_at: float | None = None  # on the watcher's clock
    last_event_id: int = 0


class Watcher:
    """One viewer of one session, from the event `position` on. `show` is told of every event but pings, in order."""

    def __init__(
        self,
        api: ApiClient,
        session_id: str,
        answers: Answers,
        show: Show,
        *,
        position: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._session_id = session_id
        self._answers = answers
        self._show = show
        self._clock = clock
        self._position = position

    def prompt(self, text: str, deadline_s: float = DEADLINE_S) -> RunSeen:
        """Send a prompt and follow its run to the end, or to where it is left to an operator.

        Raises Unavailable when the run has not ended after `deadline_s`, the time of its questions not counted;
        ApiProblem when the prompt is refused.
        """
        started = self._clock()
        self._api.send_message(self._session_id, text)
        return self._follow(RunSeen(), started, deadline_s)

    def attend(self, run: JsonObject, deadline_s: float = DEADLINE_S) -> RunSeen:
        """Take over a run that is open already, as the API describes it: answer what it asks, follow it to the end.

        Raises as `prompt` does.
        """
        seen = RunSeen(run_id=str(run.get("id")))
        pending = run.get("pending")
        if isinstance(pending, dict) and (kind := _ASKED_BY.get(str(pending.get("kind")))) is not None:
            told: JsonObject = {"runId": seen.run_id, "status": run.get("status"), **pending}
            self._told(SessionEvent(0, kind, told), seen)
        return seen if seen.status else self._follow(seen, self._clock(), deadline_s)

    def _follow(self, seen: RunSeen, started: float, deadline_s: float) -> RunSeen:
        for event in self._api.follow(self._session_id, self._position, until=frozenset({"done"})):
            if self._clock() - started > deadline_s:
                raise Unavailable(f"The run has not ended after {deadline_s:.0f} s; it goes on without a viewer.")
            if event.type == "ping":
                continue
            if seen.planned_at is None and event.type in _PLANNING and event.id > self._position + 1:
                self._tell_history(seen, event.id)
            self._position = seen.last_event_id = event.id
            if event.type == "started":
                seen.planned_at = self._clock()
                seen.to_plan_s = seen.planned_at - started
            started += self._told(event, seen)
            if seen.status:
                return seen
        return seen

    def _told(self, event: SessionEvent, seen: RunSeen) -> float:
        """Show an event and answer it if it asks; the seconds that the answer took."""
        self._show(event)
        note(seen, event.type, event.data)
        if event.type not in _ASKING:
            return 0.0
        asked = self._clock()
        self._answer(event, seen)
        return self._clock() - asked

    def _tell_history(self, seen: RunSeen, before: int) -> None:
        """The shortlist, the planner and its text are in the history only: told where they lie in the stream."""
        for entry in self._api.history(self._session_id):
            kind, seq, payload = entry.get("eventType"), entry.get("seq"), entry.get("payload")
            if not isinstance(seq, int) or not self._position < seq < before:
                continue
            if isinstance(kind, str) and kind in _HISTORY_ONLY and isinstance(payload, dict):
                self._show(SessionEvent(seq, kind, payload))
                note(seen, kind, payload)

    def _answer(self, event: SessionEvent, seen: RunSeen) -> None:
        if event.type == "confirm_plan_required":
            seen.approval_asked = True
            approved = self._answers.approve(event.data)
            self._vote("approve" if approved else "reject", event, seen, planHash=event.data.get("planHash"))
        elif event.type == "tool_approval_required":
            approved = self._answers.approve_call(event.data)
            correlation = event.data.get("correlationId")
            self._vote("approve_tool" if approved else "reject_tool", event, seen, correlationId=correlation)
        elif event.type == "approval_vote":
            self._leave_to_others(event, seen)
        elif event.type == "slots_required":
            slots = [slot for slot in _list(event.data.get("slots")) if isinstance(slot, dict)]
            seen.slots_asked = [str(slot.get("variable")) for slot in slots]
            seen.declined = not self._fill(event, slots)
        elif event.data.get("status") == NEEDS_OPERATOR:
            self._recover(event, seen)

    def _vote(self, action: str, event: SessionEvent, seen: RunSeen, **fields: JsonValue) -> None:
        """A vote that does not count leaves the run to somebody whose vote does."""
        seen.declined = action.startswith("reject")
        try:
            self._act(action, event, **fields)
        except ApiProblem as problem:
            if problem.code not in _NO_VOTE:
                raise
            told: JsonObject = {"action": action, "actor": "you", "why": problem.detail}
            self._show(SessionEvent(event.id, "action_refused", told))
            seen.run_id, seen.status = str(event.data.get("runId")), NEEDS_APPROVAL

    def _leave_to_others(self, event: SessionEvent, seen: RunSeen) -> None:
        votes, quorum = event.data.get("votes"), event.data.get("quorum")
        if isinstance(votes, int) and isinstance(quorum, int) and votes < quorum:
            seen.run_id, seen.status = str(event.data.get("runId")), NEEDS_APPROVAL

    def _recover(self, event: SessionEvent, seen: RunSeen) -> None:
        """Ask until a resolution is taken or the run is left as it is; somebody else may have resolved it by then."""
        run_id, problems = str(event.data.get("runId")), list[str]()
        while (question := self._open_recovery(run_id)) is not None:
            if not problems:
                self._show(SessionEvent(event.id, "recovery", {"runId": run_id, **question}))
            chosen = self._answers.recover(question, problems)
            if chosen is None:
                seen.run_id, seen.status = run_id, NEEDS_OPERATOR
                return
            try:
                self._api.act(self._session_id, "resolve", runId=run_id, **chosen)
                return
            except ApiProblem as problem:
                if problem.status not in (_CONFLICT, _INVALID):
                    raise
                problems = list(problem.faults) or [problem.detail]

    def _open_recovery(self, run_id: str) -> JsonObject | None:
        run = self._api.run(self._session_id, run_id)
        pending = run.get("pending")
        return pending if run.get("status") == NEEDS_OPERATOR and isinstance(pending, dict) else None

    def _fill(self, event: SessionEvent, slots: list[JsonObject]) -> bool:
        """Whether the form was filled; otherwise it was cancelled."""
        problems: list[str] = []
        for _ in range(SLOT_TRIES):
            values = self._answers.fill(slots, problems)
            if values is None:
                break
            try:
                self._act("fill_slots", event, values=values)
                return True
            except ApiProblem as problem:
                if problem.status != _INVALID:
                    raise
                problems = list(problem.faults) or [problem.detail]
        self._act("cancel_slots", event)
        return False

    def _act(self, action: str, event: SessionEvent, **fields: JsonValue) -> None:
        given = {name: value for name, value in fields.items() if value is not None}
        try:
            self._api.act(self._session_id, action, runId=event.data.get("runId"), **given)
        except ApiProblem as problem:
            if problem.status != _CONFLICT or problem.code in _NO_VOTE:
                raise
            # Somebody else has answered already, or a resumed stream told an old question again: the run goes on.


def note(seen: RunSeen, kind: str, data: JsonObject) -> None:
    """Write into `seen` what one event says."""
    match kind:
        case "started":
            seen.run_id = str(data.get("runId", ""))
        case "tool_selection":
            seen.tier = str(data.get("tier", ""))
            seen.shortlist = [str(item.get("tool")) for item in _list(data.get("shortlist")) if isinstance(item, dict)]
        case "plan_summary":
            seen.planner, seen.mode = str(data.get("planner", "")), str(data.get("mode", ""))
        case "tool_end":
            (seen.succeeded if data.get("ok") is True else seen.failed).append(str(data.get("tool")))
        case "error":
            seen.error = str(data.get("msg", ""))
        case "done":
            seen.status, seen.reply = str(data.get("status", "")), str(data.get("reply") or "")


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []

"""How a session's events look in a terminal: one line each, and a table for what led to the plan."""

from collections.abc import Callable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.base import JsonObject, JsonValue
from planvault.cli.client import SessionEvent
from planvault.cli.questions import approval_lines, recovery_lines

SHORTLIST_SHOWN = 5
REPLY_SHOWN = 600


class EventPrinter:
    """Prints the events that a person watching a run wants to see; the rest stays silent."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, event: SessionEvent) -> None:
        printer = _PRINTERS.get(event.type)
        if printer is not None:
            printer(self._console, event.data)


def _line(console: Console, mark: str, style: str, text: str) -> None:
    # Text, not markup: what a service answers may hold square brackets.
    console.print(Text.assemble((f"  {mark} ", style), text), soft_wrap=True)


def _phase(console: Console, data: JsonObject) -> None:
    _line(console, "…", "dim", str(data.get("detail") or data.get("phase")))


def _selection(console: Console, data: JsonObject) -> None:
    shortlist = [item for item in _list(data.get("shortlist")) if isinstance(item, dict)]
    timings = data.get("timingsMs")
    total = timings.get("total") if isinstance(timings, dict) else None
    took = f", {total} ms" if total is not None else ""
    _line(console, "⌕", "cyan", f"{len(shortlist)} of {data.get('catalogSize')} tools ({data.get('tier')}{took})")
    table = Table(box=None, padding=0, show_header=False)
    table.add_column("tool")
    table.add_column("score", justify="right")
    for item in shortlist[:SHORTLIST_SHOWN]:
        score = item.get("score")
        table.add_row(Text(f"    {item.get('tool')}  "), f"{score:.3f}" if isinstance(score, float | int) else "")
    console.print(table)


def _plan(console: Console, data: JsonObject) -> None:
    _line(console, "≡", "cyan", f"plan by {data.get('planner')} ({data.get('mode')})")


def _graph(console: Console, data: JsonObject) -> None:
    graph = data.get("planGraph")
    nodes = _list(graph.get("nodes")) if isinstance(graph, dict) else []
    for node in nodes:
        if isinstance(node, dict):
            _line(console, f"  {node.get('id')}", "cyan", f"{node.get('kind')}: {node.get('label')}")


def _slots(console: Console, data: JsonObject) -> None:
    for slot in _list(data.get("slots")):
        if isinstance(slot, dict):
            _line(console, "?", "yellow", f"{slot.get('variable')}: {slot.get('prompt')}")


def _confirm(console: Console, data: JsonObject) -> None:
    tools = ", ".join(map(str, _list(data.get("tools"))))
    _line(console, "?", "yellow", f"approval is asked for this plan; it calls {tools}")


def _confirmed(console: Console, data: JsonObject) -> None:
    verdict = "approved" if data.get("approved") is True else "rejected"
    _line(console, "✓" if verdict == "approved" else "✗", "green", f"{verdict} ({data.get('approvalSource')})")


def _confirm_call(console: Console, data: JsonObject) -> None:
    first, *rest = approval_lines(data)
    _line(console, "?", "yellow", first)
    for line in rest:
        _line(console, " ", "", line)


def _vote(console: Console, data: JsonObject) -> None:
    proven = ", signed in," if data.get("proven") is True else ""
    _line(console, "✓", "green", f"{data.get('actor')}{proven} approves ({data.get('votes')} of {data.get('quorum')})")


def _denied(console: Console, data: JsonObject) -> None:
    _line(console, "✗", "red", f"policy denies {data.get('tool')} ({data.get('constraint')}): {data.get('message')}")


def _refused(console: Console, data: JsonObject) -> None:
    _line(console, "!", "yellow", f"{data.get('action')} by {data.get('actor')} did not count: {data.get('why')}")


def _tool_start(console: Console, data: JsonObject) -> None:
    attempt = data.get("attempt")
    again = f", attempt {attempt}" if isinstance(attempt, int) and attempt > 1 else ""
    _line(console, "→", "blue", f"{data.get('tool')} ({data.get('nodeId')}{again})")


def _tool_end(console: Console, data: JsonObject) -> None:
    duration = data.get("durationMs")
    took = f"{duration:.0f} ms" if isinstance(duration, float | int) else ""
    if data.get("ok") is True:
        _line(console, "✓", "green", f"{data.get('tool')} {took}")
    else:
        _line(console, "✗", "red", f"{data.get('tool')} {took}: {data.get('error')}")


def _recovery(console: Console, data: JsonObject) -> None:
    for mark, line in zip("!  ", recovery_lines(data), strict=False):
        _line(console, mark, "bold yellow", line)


def _error(console: Console, data: JsonObject) -> None:
    _line(console, "✗", "red", f"{data.get('code')}: {data.get('msg')}")


def _done(console: Console, data: JsonObject) -> None:
    reply = str(data.get("reply") or "")
    shown = reply if len(reply) <= REPLY_SHOWN else f"{reply[:REPLY_SHOWN]}… ({len(reply)} characters)"
    if shown:
        _line(console, "»", "bold", shown)
    _line(console, "■", "bold", str(data.get("status")))


_PRINTERS: dict[str, Callable[[Console, JsonObject], None]] = {
    "run_phase": _phase,
    "tool_selection": _selection,
    "plan_summary": _plan,
    "started": _graph,
    "slots_required": _slots,
    "confirm_plan_required": _confirm,
    "confirm_plan_result": _confirmed,
    "tool_approval_required": _confirm_call,
    "tool_approval_result": _confirmed,
    "approval_vote": _vote,
    "tool_policy_denied": _denied,
    "action_refused": _refused,
    "tool_start": _tool_start,
    "tool_end": _tool_end,
    "recovery": _recovery,  # the watcher's own: a run_status with the question that the run asks
    "error": _error,
    "done": _done,
}


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []

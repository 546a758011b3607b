"""What a person at the terminal sees of a run."""

from io import StringIO

from rich.console import Console

from planvault.cli.client import SessionEvent
from planvault.cli.live import REPLY_SHOWN, EventPrinter


def shown(*events: tuple[str, dict[str, object]]) -> str:
    file = StringIO()
    printer = EventPrinter(Console(file=file, width=200))
    for kind, data in events:
        printer(SessionEvent(1, kind, data))  # type: ignore[arg-type]
    return file.getvalue()


def test_selection_plan_steps_and_reply_are_shown() -> None:
    text = shown(
        (
            "tool_selection",
            {
                "tier": "direct",
                "catalogSize": 13,
                "timingsMs": {"total": 9.1},
                "shortlist": [{"tool": "getOrder", "score": 0.512345}],
            },
        ),
        ("plan_summary", {"planner": "builtin", "mode": "structured_json"}),
        ("started", {"planGraph": {"nodes": [{"id": "n1", "kind": "call", "label": "getOrder(orderId=1)"}]}}),
        ("tool_start", {"tool": "getOrder", "nodeId": "n1", "attempt": 2}),
        ("tool_end", {"tool": "getOrder", "ok": True, "durationMs": 21.4}),
        ("done", {"status": "completed", "reply": "Order 1 is paid"}),
    )

    for part in (
        "1 of 13 tools (direct, 9.1 ms)",
        "0.512",
        "builtin",
        "call: getOrder(orderId=1)",
        "attempt 2",
        "21 ms",
    ):
        assert part in text
    assert "Order 1 is paid" in text


def test_a_failed_step_says_why() -> None:
    assert "HTTP 500: the carrier is off" in shown(
        ("tool_end", {"tool": "track", "ok": False, "durationMs": 3.0, "error": "HTTP 500: the carrier is off"})
    )


def test_what_a_service_says_is_never_read_as_markup() -> None:
    assert "[red]x[/red] [/]" in shown(("done", {"status": "completed", "reply": "[red]x[/red] [/]"}))


def test_a_long_reply_is_cut_and_says_so() -> None:
    text = shown(("done", {"status": "completed", "reply": "a" * 5_000}))

    assert text.count("a") < REPLY_SHOWN + 50
    assert "5000 characters" in text


def test_events_nobody_knows_yet_are_silent() -> None:
    assert shown(("something_new", {"x": 1})) == ""


def test_a_vote_says_whether_an_issuer_has_signed_the_voter_in() -> None:
    vote: dict[str, object] = {"actor": "ada", "votes": 1, "quorum": 2}
    assert "ada approves (1 of 2)" in shown(("approval_vote", vote))
    assert "ada, signed in, approves (1 of 2)" in shown(("approval_vote", {**vote, "proven": True}))

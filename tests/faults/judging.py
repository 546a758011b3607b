"""What is held against a session that was disturbed."""

from __future__ import annotations

from collections import Counter

from tests.faults.bench import Bench, Played
from tests.faults.comparison import comparable
from tests.faults.expectation import Undisturbed, expected, observed
from tests.faults.scenarios import AT_ONCE


async def faults_of_kill(bench: Bench, whole: Played, story: Undisturbed, played: Played) -> list[str]:
    """Everything about a session whose host was killed that the table and the undisturbed one do not explain."""
    assert played.boundary is not None
    found = faults_of_outcome(whole, played) + faults_of_keys(played) + await faults_of_record(bench, played)
    if played.scenario in AT_ONCE:  # their appends differ from run to run: there may be no such boundary this time
        return found + faults_of_reads(whole, played)
    found += [] if played.kills == 1 else ["the boundary was not reached"]
    requests, effects = observed(played.verdict)
    due = expected(story, played.boundary)
    if requests != due.requests:
        found.append(f"the service received {dict(requests)}, {dict(due.requests)} are allowed")
    if effects != due.effects:
        found.append(f"the service executed {dict(effects)}, {dict(due.effects)} are allowed")
    if ("recovery" in played.questions) != due.asks_operator:
        found.append(f"the operator was asked: {'recovery' in played.questions}, the table says {due.asks_operator}")
    return found


async def faults_of_unharmed(bench: Bench, whole: Played, played: Played) -> list[str]:
    """Everything about a session whose host lived through the fault that is not as if nothing had happened."""
    found = faults_of_outcome(whole, played) + faults_of_keys(played) + await faults_of_record(bench, played)
    if observed(played.verdict) != observed(whole.verdict):
        found.append(f"the service saw {observed(played.verdict)}, undisturbed {observed(whole.verdict)}")
    if played.questions != whole.questions:
        found.append(f"people were asked {played.questions}, undisturbed {whole.questions}")
    return found


def faults_of_outcome(whole: Played, played: Played) -> list[str]:
    found = []
    if comparable(played.history) != comparable(whole.history):
        found.append(f"the history differs\n{_difference(whole, played)}")
    if (played.run.status, played.run.reason) != (whole.run.status, whole.run.reason):
        found.append(f"the run ended {played.run.status} ({played.run.reason})")
    return found


def faults_of_reads(whole: Played, played: Played) -> list[str]:
    """Nothing but reads: each as often as undisturbed, or once more if it was in flight at the kill."""
    first, second = (
        Counter(f"{request['kind']} {request['item']}" for request in each.verdict["requests"])
        for each in (whole, played)
    )
    found = [f"{what} was read {second[what]} times" for what in first if not 0 <= second[what] - first[what] <= 1]
    return found + (["reads have effects"] if played.verdict["effects"] else [])


def faults_of_keys(played: Played) -> list[str]:
    """One key an item for the keyed tool, another for every item, and none for any other tool."""
    keys: dict[str, set[str | None]] = {}
    for request in played.verdict["requests"]:
        keys.setdefault(f"{request['kind']} {request['item']}", set()).add(request["key"])
    paid = {what: used for what, used in keys.items() if what.startswith("payments")}
    found = [f"{what} came under the keys {used}" for what, used in paid.items() if len(used) > 1 or None in used]
    found += [f"{what} has a key" for what, used in keys.items() if what not in paid and used != {None}]
    every = [key for used in paid.values() for key in used]
    return found + (["two steps share a key"] if len(every) != len(set(every)) else [])


async def faults_of_record(bench: Bench, played: Played) -> list[str]:
    """Gapless, epochs only grow, and no command is left over."""
    stretches = await bench.stretches(played.scope)
    found = []
    if [first for _, first, _ in stretches] != [1, *(last + 1 for _, _, last in stretches[:-1])]:
        found.append(f"the record has gaps: {stretches}")
    if [epoch for epoch, _, _ in stretches] != sorted(epoch for epoch, _, _ in stretches):
        found.append(f"an older epoch wrote behind a newer one: {stretches}")
    left = await bench.pool.fetchval(
        "SELECT count(*) FROM commands WHERE session_id = $1 AND consumed_at IS NULL", played.scope.session_id
    )
    return found + ([f"{left} commands were not consumed"] if left else [])


def _difference(whole: Played, played: Played) -> str:
    ours, theirs = comparable(whole.history), comparable(played.history)
    pairs = enumerate(zip(ours, theirs, strict=False))
    at = next((index for index, pair in pairs if pair[0] != pair[1]), min(len(ours), len(theirs)))
    return f"  at {at}: undisturbed {str(ours[at : at + 2])[:500]}\n  disturbed {str(theirs[at : at + 2])[:500]}"

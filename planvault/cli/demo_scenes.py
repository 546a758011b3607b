"""The demo's prompts and what must come of each. Pure: judges what was seen, talks to nobody."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from models.base import JsonValue
from planvault.cli.watch import RunSeen


@dataclass(frozen=True, slots=True)
class Scene:
    """One prompt. `calls` must succeed in this order, others may lie between; `fails` must be called and fail."""

    title: str
    prompt: str
    status: str = "completed"
    calls: tuple[str, ...] = ()
    fails: tuple[str, ...] = ()
    reply_has: str = ""
    error_has: str = ""
    slots: Mapping[str, JsonValue] = field(default_factory=dict)  # must be asked for; values for an unattended run


SCENES = (
    Scene(
        "A question, answered by one call",
        "List the customers in London",
        calls=("listCustomers",),
        reply_has="Ada Lovelace",
    ),
    Scene(
        "Two steps, the second with an effect outside",
        "Find the customer Emmy Noether and send her an sms with the message 'Your refund is ready'",
        calls=("listCustomers", "sendNotification"),
    ),
    Scene(
        "A missing value is asked for; the secret of the call no model sees",
        "Refund order 1004",
        calls=("refundOrder",),
        slots={"amount": 12},
    ),
    Scene("An effect that cannot be undone", "Cancel order 1003", calls=("cancelOrder",), reply_has="cancelled"),
    Scene(
        "A service that fails: the run ends clearly, nothing is guessed",
        "Track the shipment of order 1002",
        status="failed",
        fails=("trackShipment",),
        error_has="carrier",
    ),
)


def judge(scene: Scene, seen: RunSeen) -> list[str]:
    """What was expected and not seen; empty when all is well. A run that the person declined owes nothing."""
    if seen.declined:
        return [] if seen.status == "cancelled" else [f"declined, and yet the run is {seen.status or 'still open'}"]
    missing: list[str] = []
    if seen.status != scene.status:
        missing.append(f"the run should be {scene.status}, it is {seen.status or 'still open'}: {seen.error}")
    if not _in_order(scene.calls, seen.succeeded):
        missing.append(f"{' → '.join(scene.calls)} should succeed; seen: {', '.join(seen.succeeded) or 'no call'}")
    missing += [f"{tool} should be called and fail" for tool in scene.fails if tool not in seen.failed]
    if scene.reply_has and scene.reply_has not in seen.reply:
        missing.append(f"the reply should hold “{scene.reply_has}”")
    if scene.error_has and scene.error_has not in seen.error:
        missing.append(f"the error should hold “{scene.error_has}”")
    asked = " ".join(seen.slots_asked)
    missing += [f"a value for {name} should be asked for" for name in scene.slots if name not in asked]
    if not seen.shortlist:
        missing.append("the selection should be on record")
    if seen.to_plan_s is None:
        missing.append("a plan should be shown before it runs")
    return missing


def _in_order(wanted: tuple[str, ...], seen: list[str]) -> bool:
    rest = iter(seen)
    return all(tool in rest for tool in wanted)

"""How long a bring-up waits for its parts, and what it says when one is late: a busy machine is no fault of theirs."""

import os
from collections.abc import Mapping

from planvault.errors import BringUpFailed

VARIABLE = "PLANVAULT_START_PATIENCE"
MOST = 20.0


def patience(environment: Mapping[str, str]) -> float:
    """How many times as long as usual every part may take to start. Raises BringUpFailed for what is no such number."""
    text = environment.get(VARIABLE, "") or "1"
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 1 <= factor <= MOST:
        raise BringUpFailed(f"{VARIABLE} is {text!r}: it must be a number from 1 to {MOST:g}, such as 3.")
    return factor


def busyness() -> str:
    """That more wants to run on this machine than it has cores, in words; empty where it does not."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    return f"this machine is busy (load {load:.1f} on {cores} cores; see `uptime` and `top`)" if load > cores else ""


def late(what: str, waited_s: float) -> BringUpFailed:
    """`what` was not there in time: how busy the machine is, and how to wait longer. `what` ends no sentence."""
    busy = busyness()
    advice = f"{busy}: end what else runs, or wait longer" if busy else "To wait longer on a slow machine"
    return BringUpFailed(
        f"{what} within {waited_s:g} s. {advice[0].upper()}{advice[1:]}: `{VARIABLE}=3 planvault up` waits three times "
        "as long for every part."
    )

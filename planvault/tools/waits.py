"""What the catalog says of `sleep` and `wait_for_signal`.

The engine answers them itself: a wait is a time in the record, and no call (planvault.engine.waiting).
"""

from models.base import JsonObject
from models.tools import OutputField, ParamLocation, ToolParam
from planvault.engine.pauses import OnTimeout
from planvault.engine.tokens import MAX_NAME
from planvault.engine.waiting import DEFAULT_TIMEOUT_S, MAX_TIMEOUT_S


def _argument(name: str, schema: JsonObject, description: str, *, required: bool = False) -> ToolParam:
    return ToolParam(
        name=name,
        location=ParamLocation.BODY,
        body_path=(name,),
        schema_=schema,
        required=required,
        description=description,
    )


SLEEP_SUMMARY = "Pauses this run for some seconds, minutes, hours or days"
SLEEP_DESCRIPTION = "Survives restarts. It counts against the run's wall-clock limit."
SLEEP_PARAMS = (
    _argument("seconds", {"type": "number", "minimum": 0, "maximum": MAX_TIMEOUT_S}, "How long", required=True),
)

SIGNAL_SUMMARY = "Pauses this run until an outside system calls back; the result is the JSON object that it sends"
SIGNAL_DESCRIPTION = (
    "A service that is to call back for the signal NAME is given {{secrets.signal_url_NAME}} and "
    "{{secrets.signal_token_NAME}} as arguments of an earlier call: it sends its JSON object with POST to the URL, "
    "the token as bearer token. The signal may come before the wait begins."
)
SIGNAL_PARAMS = (
    _argument(
        "name",
        {"type": "string", "minLength": 1, "maxLength": MAX_NAME},
        "Which signal; a name of its own for every wait of a plan",
        required=True,
    ),
    _argument(
        "timeoutSeconds",
        {"type": "number", "minimum": 1, "maximum": MAX_TIMEOUT_S},
        f"How long to wait, by default {DEFAULT_TIMEOUT_S:g}",
    ),
    _argument(
        "onTimeout",
        {"type": "string", "enum": [policy.value for policy in OnTimeout]},
        "What follows when nothing comes: the run fails (the default), or continues with null",
    ),
)
SIGNAL_OUTPUTS = (OutputField(path=(), type="object"),)

"""One id a request: taken from the client where it is well formed, made here where it is not."""

import re

from starlette.datastructures import Headers

from planvault.ports import Ids

HEADER = "X-Request-Id"
_VALID = re.compile(r"[a-zA-Z0-9._~-]{1,128}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def choose(headers: Headers, ids: Ids) -> str:
    """`X-Request-Id`, else `X-Correlation-ID`, else the trace id of `traceparent`; invalid ones are passed over."""
    for name in (HEADER, "X-Correlation-ID"):
        given = headers.get(name, "")
        if _VALID.fullmatch(given):
            return given
    trace = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    return trace["trace"] if trace else str(ids.new())

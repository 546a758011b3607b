"""What a vendor's error means to us: one LlmFailed that says what to do next and carries no key."""

import re
from collections.abc import Callable, Iterable
from http import HTTPStatus

from planvault.errors import LlmFailed, LlmRefused

Redactor = Callable[[str], str]

_KEY_SHAPES = re.compile(r"\b(?:sk|pk|gsk|xai|pv|csk|AIza)[-_][A-Za-z0-9*_-]{6,}|Bearer\s+\S+|AIza[A-Za-z0-9_-]{10,}")
_LONGEST = 400
_ADVICE = {
    HTTPStatus.UNAUTHORIZED: "it refused the key; check PLANVAULT_LLM_API_KEY or the vendor's own variable",
    HTTPStatus.PAYMENT_REQUIRED: "the account has no credit left",
    HTTPStatus.FORBIDDEN: "the key may not use this model",
    HTTPStatus.NOT_FOUND: "it does not know this model or path; check PLANVAULT_LLM_MODEL and PLANVAULT_LLM_BASE_URL",
    HTTPStatus.REQUEST_TIMEOUT: "it did not answer in time; raise PLANVAULT_LLM_TIMEOUT_S or take a faster model",
    HTTPStatus.TOO_MANY_REQUESTS: "its rate limit or quota is used up; try again later",
}
# Asking again changes nothing; a person must.
_FINAL = frozenset({400, 401, 402, 403, 404, 422})


def llm_failed(model: str, error: BaseException, keys: Iterable[str], redact: Redactor) -> LlmFailed:
    """`error` as an LlmFailed; `keys` are credentials that must not stand in its text."""
    status = status_of(error)
    advice = _ADVICE.get(HTTPStatus(status)) if status in _ADVICE else None
    if advice is None:
        advice = (
            f"it answered {status}" if status and _answered(error) else "it could not be reached; is its URL right?"
        )
    kind = LlmRefused if status in _FINAL and _answered(error) else LlmFailed
    return kind(f"The model {model} did not answer: {advice}. {without_keys(str(error), keys, redact)}".strip())


def status_of(error: BaseException) -> int | None:
    """The HTTP status that LiteLLM gives an error (408 for a timeout), or None."""
    if "Timeout" in type(error).__name__:
        return int(HTTPStatus.REQUEST_TIMEOUT)
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def without_keys(text: str, keys: Iterable[str], redact: Redactor) -> str:
    """One bounded line of `text`, with credentials and bound secrets removed."""
    for key in keys:
        if key:
            text = text.replace(key, "[redacted]")
    line = " ".join(redact(_KEY_SHAPES.sub("[redacted]", text)).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _answered(error: BaseException) -> bool:
    """LiteLLM dresses a refused connection up as a 500; the cause tells."""
    cause: BaseException | None = error
    while cause is not None:
        if "Connect" in type(cause).__name__:
            return False
        cause = cause.__cause__ or cause.__context__
    return True

"""Structured logs: one JSON object a line, with the request id, and with every bound secret masked.

Traces and metrics have their place here.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, TextIO, cast

import structlog
from structlog.contextvars import bound_contextvars, get_contextvars, merge_contextvars
from structlog.typing import EventDict, Processor, WrappedLogger

from planvault.redact import Redactor, process_redactor
from planvault.settings import Settings

# They log whole requests, answers or events at INFO or DEBUG.
_QUIET = ("httpx", "httpcore", "asyncio", "LiteLLM", "openai", "sse_starlette", "botocore", "boto3", "urllib3")


def start_logging(settings: Settings, environ: Mapping[str, str]) -> Redactor:
    """What every process of the platform starts with. The redactor knows the process's own credentials; whoever binds
    more to it masks them in its logs."""
    redactor = process_redactor(settings, environ)
    configure_logging(settings.log_level, redactor)
    return redactor


def configure_logging(level: str, redactor: Redactor, *, stream: TextIO | None = None) -> None:
    """Route structlog and the standard library's logging to `stream` (standard error). Calling again replaces it.

    `level`: a name of the logging module. Raises ValueError for an unknown one.
    """
    shared: list[Processor] = [
        merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,  # before redaction: a traceback quotes values
            RedactingProcessor(redactor),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.setLogRecordFactory(_redacted_records(redactor))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _redacted_records(redactor: Redactor) -> Callable[..., logging.LogRecord]:
    """For the handlers that libraries bring themselves (Ray Serve writes its replicas' logs): records are clean when
    they are made, their tracebacks too. Our own events are objects, and are cleaned when they are rendered."""

    def made(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = logging.LogRecord(*args, **kwargs)
        if isinstance(record.msg, str):
            try:
                message = record.getMessage()
            except (TypeError, ValueError):  # arguments that do not fit: logging would quote them
                message = f"{record.msg} {record.args!r}"
                record.msg, record.args = message, ()
            if (cleaned := redactor.clean(message)) != message:
                record.msg, record.args = cleaned, ()
        if record.exc_info and record.exc_info[1] is not None:
            # What a formatter finds here it does not make again.
            record.exc_text = redactor.clean("".join(traceback.format_exception(*record.exc_info)).rstrip("\n"))
        return record

    return made


class RedactingProcessor:
    """A structlog processor; stands right before the renderer, so that nothing is added behind it."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> Mapping[str, Any]:
        return cast("MutableMapping[str, Any]", self._redactor.clean_json(event))


@contextmanager
def request_context(request_id: str) -> Iterator[None]:
    """Every log line of this block, and of the tasks that it starts, carries the request id."""
    with bound_contextvars(request_id=request_id):
        yield


def current_request_id() -> str | None:
    found = get_contextvars().get("request_id")
    return found if isinstance(found, str) else None

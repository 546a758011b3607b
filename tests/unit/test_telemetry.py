import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from planvault.redact import Redactor
from planvault.telemetry import configure_logging, current_request_id, request_context

CANARY = "canary-51b7c2aa"


class Lines:
    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def last(self) -> dict[str, Any]:
        return self.all[-1]


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    captured = Lines()
    configure_logging("info", Redactor([CANARY]), stream=captured.stream)
    yield captured
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


def test_a_line_is_one_json_object_with_time_level_and_logger(lines: Lines) -> None:
    structlog.get_logger("planvault.x").warning("lease_lost", shard=3)
    assert lines.last["event"] == "lease_lost"
    assert (lines.last["level"], lines.last["logger"], lines.last["shard"]) == ("warning", "planvault.x", 3)
    assert lines.last["timestamp"].endswith("Z")


def test_a_bound_secret_never_reaches_a_line_whoever_logs_it(lines: Lines) -> None:
    log, std = structlog.get_logger("planvault.x"), logging.getLogger("some.library")
    log.info(f"text {CANARY}", value=CANARY, nested={"deep": [CANARY]})
    std.warning("formatted %s", CANARY, extra={"field": CANARY})
    for logger in (log, std):
        try:
            raise ValueError(f"with {CANARY}")
        except ValueError:
            logger.exception("failed")
    assert len(lines.all) == 4
    assert CANARY not in lines.stream.getvalue()
    assert "ValueError: with ***" in lines.last["exception"]


async def test_the_request_id_is_on_every_line_of_its_own_request_only(lines: Lines) -> None:
    log = structlog.get_logger("planvault.x")

    async def request(name: str) -> None:
        with request_context(name):
            await asyncio.sleep(0)
            assert current_request_id() == name
            log.info("inside", expected=name)
            logging.getLogger("lib").warning("inside", extra={"expected": name})

    await asyncio.gather(request("one"), request("two"))
    assert len(lines.all) == 4
    assert all(line["request_id"] == line["expected"] for line in lines.all)
    assert current_request_id() is None
    log.info("outside")
    assert "request_id" not in lines.last


def test_the_level_holds_and_chatty_libraries_stay_quiet(lines: Lines) -> None:
    structlog.get_logger("planvault.x").debug("too fine")
    logging.getLogger("httpx").info("HTTP Request: GET http://x/?token=abc")
    assert lines.all == []


def test_configuring_twice_does_not_double_the_lines(lines: Lines) -> None:
    configure_logging("info", Redactor(), stream=lines.stream)
    structlog.get_logger("planvault.x").info("once")
    assert len(lines.all) == 1


def test_an_unknown_level_is_an_error() -> None:
    with pytest.raises(ValueError, match="LOUD"):
        configure_logging("loud", Redactor())


def test_a_librarys_own_handler_gets_clean_records_with_clean_tracebacks() -> None:
    """Ray Serve writes its replicas' logs with handlers and formatters of its own."""
    configure_logging("info", Redactor([CANARY]), stream=io.StringIO())
    foreign, written = logging.getLogger("a.library"), io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(message)s"))
    foreign.addHandler(handler)
    try:
        try:
            raise ValueError(f"the key {CANARY} is wrong")
        except ValueError:
            foreign.exception("it failed for %s", CANARY)
        foreign.warning("too few: %s %s", CANARY)
    finally:
        foreign.removeHandler(handler)
    assert "it failed for ***" in written.getvalue()
    assert "ValueError: the key *** is wrong" in written.getvalue()
    assert CANARY not in written.getvalue()


def test_events_that_a_library_would_log_at_debug_stay_out_of_the_log(lines: Lines) -> None:
    configure_logging("debug", Redactor(), stream=lines.stream)
    for name in ("sse_starlette.sse", "openai._base_client", "httpx", "botocore.endpoint"):
        logging.getLogger(name).debug("chunk: all of an answer")
    assert lines.all == []

"""Where errors end: one clear message on stderr and an exit status, no traceback (unless PLANVAULT_DEBUG asks)."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from planvault.errors import PlanVaultError

DEBUG_VARIABLE = "PLANVAULT_DEBUG"

FAILED = 1
UNEXPECTED = 70  # EX_SOFTWARE
INTERRUPTED = 130


class FriendlyGroup(TyperGroup):
    """The command group; every command's failure passes through here."""

    def invoke(self, ctx: Any) -> Any:
        with messages(), terminable():
            return super().invoke(ctx)


@contextmanager
def messages() -> Iterator[None]:
    """Turn what a command raises into a message and an exit status."""
    try:
        yield
    except PlanVaultError as error:
        faults = [f"{pointer}: {detail}" if pointer else detail for pointer, detail in error.errors]
        _fail(error, "\n    ".join((str(error), *faults)), FAILED)
    except KeyboardInterrupt as error:
        _fail(error, "Interrupted.", INTERRUPTED)
    except Exception as error:
        if type(error).__module__.startswith("typer."):
            raise  # an exit, or a wrong option, which Typer explains itself
        if type(error).__name__ == "ApiProblem":  # by name: `--help` should not wait for the HTTP client's import
            _fail(error, str(error), FAILED)
        if type(error).__name__ == "ValidationError" and getattr(error, "title", "") == "Settings":
            _fail(error, "\n    ".join(("The settings in the environment cannot be used.", *_variables(error))), FAILED)
        _fail(error, f"Unexpected {type(error).__name__}: {error} ({DEBUG_VARIABLE}=1 shows where)", UNEXPECTED)


def _variables(error: Any) -> list[str]:
    """What is wrong with each environment variable, by its own name."""
    lines = []
    for fault in error.errors():
        name = str(fault["loc"][0]) if fault["loc"] else ""
        variable = name if name.isupper() else f"PLANVAULT_{name.upper()}"
        message = str(fault["msg"]).removeprefix("Value error, ")
        lines.append(f"{variable}: {message}" if name else message)
    return lines


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM, and a terminal that closes, end a command the way Ctrl-C does: with its clean-up.

    SIGINT is set as well: a script's background job inherits it as ignored, and would then never stop. A hang-up that
    `nohup` has silenced stays silent.
    """

    interrupted = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        if not interrupted:  # later ones: the clean-up has begun, and impatience would only cut it short
            interrupted = True
            raise KeyboardInterrupt

    heard = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        heard.append(signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _fail(error: BaseException, text: str, status: int) -> NoReturn:
    if os.environ.get(DEBUG_VARIABLE):
        raise error
    Console(stderr=True, soft_wrap=True).print(Text("✗ ", "red") + Text(text))
    raise typer.Exit(status) from None

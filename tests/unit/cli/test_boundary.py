"""Failures end as one message and an exit status."""

import pytest
import typer
from typer.testing import CliRunner

from planvault.cli.boundary import DEBUG_VARIABLE, FAILED, INTERRUPTED, UNEXPECTED, FriendlyGroup
from planvault.errors import BringUpFailed, FieldError, InvalidInput
from planvault.settings import Settings


def _app(raised: BaseException) -> typer.Typer:
    app = typer.Typer(cls=FriendlyGroup, pretty_exceptions_enable=False)

    @app.command()
    def fail() -> None:
        raise raised

    @app.command()
    def other() -> None: ...

    return app


@pytest.mark.parametrize(
    ("raised", "status", "message"),
    [
        (BringUpFailed("Port 1 is in use. Choose another."), FAILED, "Port 1 is in use. Choose another."),
        (KeyboardInterrupt(), INTERRUPTED, "Interrupted."),
        (ZeroDivisionError("division by zero"), UNEXPECTED, "Unexpected ZeroDivisionError: division by zero"),
    ],
)
def test_every_failure_is_a_message_and_a_status(
    raised: BaseException, status: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(DEBUG_VARIABLE, raising=False)
    result = CliRunner().invoke(_app(raised), ["fail"])
    assert result.exit_code == status
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_refusal_of_the_api_is_shown_as_it_is() -> None:
    import httpx

    from planvault.cli.problem import ApiProblem

    problem = ApiProblem(httpx.Response(404, json={"type": "urn:planvault:problem:NOT_FOUND", "detail": "No such key"}))
    result = CliRunner().invoke(_app(problem), ["fail"])
    assert result.exit_code == FAILED
    assert "NOT_FOUND (404): No such key" in result.stderr


def test_faults_found_before_anything_is_sent_are_shown_one_by_one() -> None:
    faults = (FieldError("/a", "too long"), FieldError("", "too many"))
    result = CliRunner().invoke(_app(InvalidInput("The request is not valid.", errors=faults)), ["fail"])
    shown = [line.strip() for line in result.stderr.splitlines()]
    assert shown == ["✗ The request is not valid.", "/a: too long", "too many"]


def test_a_setting_that_cannot_be_used_is_named_as_the_variable_that_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANVAULT_SHARDS", "many")
    app = typer.Typer(cls=FriendlyGroup, pretty_exceptions_enable=False)

    @app.command()
    def up() -> None:
        Settings()

    @app.command()
    def other() -> None: ...

    result = CliRunner().invoke(app, ["up"])
    assert result.exit_code == FAILED
    assert "PLANVAULT_SHARDS: Input should be a valid integer" in result.stderr
    assert "pydantic" not in result.stderr


def test_debugging_lets_the_error_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DEBUG_VARIABLE, "1")
    result = CliRunner().invoke(_app(ZeroDivisionError("where")), ["fail"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_an_exit_status_that_a_command_chose_is_kept() -> None:
    assert CliRunner().invoke(_app(typer.Exit(3)), ["fail"]).exit_code == 3


def test_a_wrong_option_is_explained_by_typer() -> None:
    result = CliRunner().invoke(_app(typer.Exit(0)), ["fail", "--nonsense"])
    assert result.exit_code == 2
    assert "--nonsense" in result.stderr

"""`scenarios` and `feedback`: which tools a prompt like this one needs, by people's word."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from models.base import JsonObject, JsonValue
from planvault.cli.listing import show
from planvault.cli.options import (
    CredentialsOption,
    DataDirOption,
    JsonOption,
    OperatorOption,
    client,
    credentials_path,
    load_credentials,
)
from planvault.errors import Conflict

scenarios = typer.Typer(help="Map prompts to the tools that they need.", no_args_is_help=True)


class Vote(StrEnum):
    LIKE = "like"
    DISLIKE = "dislike"


@scenarios.command("list")
def list_scenarios(
    data: DataDirOption = None, credentials: CredentialsOption = None, as_json: JsonOption = False
) -> None:
    """Show the organisation's scenarios, newest first, and how runs went with them."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        found = list(api.pages("scenarios"))
    if as_json:
        print(json.dumps(found, indent=2))
        return
    rows = []
    for each in found:
        rate = f"{float(str(each.get('successRate') or 0)):.2f}" if each.get("enabled") else "disabled"
        where = f"project {each['projectId']}" if each.get("projectId") else "organisation"
        rows.append((each.get("id"), each.get("priority"), rate, each.get("name"), _tools(each.get("tools")), where))
    show(("id", "priority", "success", "name", "tools", "for"), rows, empty="No scenarios yet.")


@scenarios.command("create")
def create_scenario(
    name: Annotated[str, typer.Argument(help="For people.")],
    sample: Annotated[list[str], typer.Option("--sample", help="A prompt as people write it; may be repeated.")],
    tool: Annotated[list[str], typer.Option("--tool", help="A tool that it needs; may be repeated.")],
    instruction: Annotated[str, typer.Option("--instruction", help="For the planner; {{key}} from contextVars.")] = "",
    priority: Annotated[int, typer.Option("--priority", min=2, max=100, help="How much it counts.")] = 50,
    project: Annotated[bool, typer.Option("--project", help="Only for this project's prompts.")] = False,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Make a scenario, and print its id."""
    held = load_credentials(credentials_path(data, credentials))
    samples: list[JsonValue] = [*sample]
    tools: list[JsonValue] = [*tool]
    body: JsonObject = {
        "name": name,
        "sampleQueries": samples,
        "tools": tools,
        "systemInstruction": instruction,
        "priority": priority,
        "projectId": held.project_id if project else None,
    }
    with client(held) as api:
        print(api.admin("POST", "scenarios", body=body).get("id"))


@scenarios.command("delete")
def delete_scenario(
    scenario_id: Annotated[str, typer.Argument(help="See `planvault scenarios list`.")],
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Prompts like its samples are on their own again."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        api.delete_scenario(scenario_id)
    Console().print(f"Scenario {scenario_id} is deleted.")


def feedback(
    session: Annotated[str, typer.Argument(help="The run's session, see `planvault runs`.")],
    value: Annotated[Vote, typer.Argument(help="What you think of the run.")],
    run: Annotated[str, typer.Option("--run", help="Default: the session's newest run.")] = "",
    comment: Annotated[str, typer.Option("--comment", help="Why; kept encrypted.")] = "",
    operator: OperatorOption = "",
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Like or dislike a run that has ended: the next selection of tools for such a prompt takes it into account."""
    with client(load_credentials(credentials_path(data, credentials)), operator) as api:
        run_id = run or next((str(each.get("id")) for each in api.runs(session)), "")
        if not run_id:
            raise Conflict(f"Session {session} has no run yet.")
        api.give_feedback(session, run_id, value.value, comment)
    typer.echo(f"Run {run_id}: {value.value}.")


def _tools(tools: JsonValue) -> str:
    """Names; those that the catalog does not offer now in brackets."""
    found = [each for each in tools if isinstance(each, dict)] if isinstance(tools, list) else []
    return ", ".join(f"{each.get('name')}" if each.get("offered") else f"({each.get('name')})" for each in found)

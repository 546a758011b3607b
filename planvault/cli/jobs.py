"""`jobs`: prompts that are sent later, once or again and again."""

from __future__ import annotations

import re
from typing import Annotated

import typer
from rich.console import Console

from models.base import JsonObject, JsonValue
from models.schedules import Frequency, JobStatus, Weekday
from planvault.cli.listing import show
from planvault.cli.options import (
    CredentialsOption,
    DataDirOption,
    JsonOption,
    client,
    credentials_path,
    load_credentials,
)
from planvault.errors import InvalidInput

jobs = typer.Typer(help="Schedule prompts, and see what became of them.", no_args_is_help=True)

JobId = Annotated[str, typer.Argument(help="The job's id, see `planvault jobs list`.")]

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DELAY = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")
_TIME = re.compile(r"(\d{1,2}):(\d{2})")


@jobs.command("list")
def list_jobs(
    status: Annotated[JobStatus | None, typer.Option("--status", help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="Jobs to show, newest first.")] = 50,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the project's jobs: when they are due, and how their last run went."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        found = api.scheduled_jobs(**{"limit": limit, **({"status": status.value} if status else {})})
    if as_json:
        _print_json(found)
        return
    rows = []
    for job in found:
        last = job.get("lastOccurrence")
        ran = last.get("runStatus") if isinstance(last, dict) else None
        due = str(job.get("runAt"))[:19].replace("T", " ")
        cells = (job.get("id"), job.get("status"), due, _rule(job.get("recurrence")), ran, _short(job.get("prompt")))
        rows.append((*cells, _short(job.get("lastError") or "")))
    show(("id", "status", "due", "again", "last run", "prompt", "error"), rows, empty="No jobs yet.")


@jobs.command("get")
def get_job(job_id: JobId, data: DataDirOption = None, credentials: CredentialsOption = None) -> None:
    """Print one job with its past occurrences, as JSON."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        past: list[JsonValue] = [*api.job_occurrences(job_id)]
        _print_json({**api.scheduled_job(job_id), "occurrences": past})


@jobs.command("create")
def create_job(
    prompt: Annotated[str, typer.Argument(help="What to ask, in natural language.")],
    after: Annotated[str, typer.Option("--in", help="In how long: 90, 90s, 10m, 2h, 1d.")] = "",
    at: Annotated[str, typer.Option("--at", help="When, with offset: 2027-03-01T09:00:00+01:00.")] = "",
    every: Annotated[Frequency | None, typer.Option("--every", help="Again and again.")] = None,
    time: Annotated[str, typer.Option("--time", help="With --every daily or weekly: HH:MM.")] = "",
    minute: Annotated[int, typer.Option("--minute", min=0, max=59, help="With --every hourly.")] = 0,
    on: Annotated[list[Weekday] | None, typer.Option("--on", help="With --every weekly; may be repeated.")] = None,
    zone: Annotated[str, typer.Option("--zone", help="IANA time zone of --every.")] = "UTC",
    session: Annotated[str, typer.Option("--session", help="Resume this session instead of opening one.")] = "",
    name: Annotated[str, typer.Option("--name", help="For people.")] = "",
    auto_approve: Annotated[bool, typer.Option("--auto-approve", help="The session's plans need no approval.")] = False,
    data: DataDirOption = None,
    credentials: CredentialsOption = None,
) -> None:
    """Schedule a prompt, and print the job's id. Give one of --in, --at and --every."""
    body: JsonObject = {"prompt": prompt, "name": name}
    if after:
        body["delaySeconds"] = _seconds(after)
    if at:
        body["runAt"] = at
    if every is not None:
        body["recurrence"] = _recurrence(every, time, minute, [day.value for day in on or ()], zone)
    if session:
        body |= {"target": "resume_session", "sessionId": session}
    if auto_approve:
        body["settings"] = {"autoApprovePlan": True}
    with client(load_credentials(credentials_path(data, credentials))) as api:
        made = api.create_job(body)
    Console(stderr=True).print(f"Due {made.get('runAt')}", soft_wrap=True)
    print(made.get("id"))


@jobs.command("cancel")
def cancel_job(job_id: JobId, data: DataDirOption = None, credentials: CredentialsOption = None) -> None:
    """No further occurrence; a run that the job has opened goes on."""
    with client(load_credentials(credentials_path(data, credentials))) as api:
        api.cancel_job(job_id)
    Console().print(f"Job {job_id} is cancelled.")


def _seconds(text: str) -> float:
    found = _DELAY.fullmatch(text)
    if found is None:
        raise InvalidInput(f"--in {text}: give a number of seconds, or 90s, 10m, 2h, 1d.")
    return float(found[1]) * _SECONDS[found[2] or "s"]


def _recurrence(every: Frequency, time: str, minute: int, weekdays: list[JsonValue], zone: str) -> JsonObject:
    """What is missing or too much, the platform says."""
    rule: JsonObject = {"frequency": every.value, "timezone": zone, "minute": minute, "weekdays": weekdays}
    if not time:
        return rule
    found = _TIME.fullmatch(time)
    if found is None:
        raise InvalidInput(f"--time {time}: give hours and minutes, such as 09:30.")
    return rule | {"hour": int(found[1]), "minute": int(found[2])}


def _rule(recurrence: JsonValue) -> str:
    """`weekly monday 09:00 Europe/Berlin`; empty for a job that occurs once."""
    if not isinstance(recurrence, dict):
        return ""
    hour, minute, days = recurrence.get("hour"), recurrence.get("minute"), recurrence.get("weekdays")
    time = f":{minute:02}" if hour is None else f"{hour:02}:{minute:02}"
    named = " ".join(map(str, days)) if isinstance(days, list) else ""
    return " ".join(filter(None, (str(recurrence.get("frequency")), named, time, str(recurrence.get("timezone")))))


def _short(prompt: JsonValue, longest: int = 60) -> str:
    text = " ".join(str(prompt).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _print_json(value: object) -> None:
    import json

    print(json.dumps(value, indent=2))

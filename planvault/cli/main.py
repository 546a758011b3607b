"""`planvault`: the command line. Heavy imports wait until the command that needs them runs."""

import typer

from planvault.cli.approve import approve, reject
from planvault.cli.audit import audit
from planvault.cli.boundary import FriendlyGroup
from planvault.cli.catalog import import_spec
from planvault.cli.chat import chat
from planvault.cli.database import migrate
from planvault.cli.doctor import doctor
from planvault.cli.gdpr import gdpr
from planvault.cli.imports_commands import imports
from planvault.cli.jobs import jobs
from planvault.cli.kek import rewrap
from planvault.cli.keys import keys
from planvault.cli.logs import logs
from planvault.cli.members import members
from planvault.cli.orgs import orgs
from planvault.cli.platform import down, status, up
from planvault.cli.resolve import resolve
from planvault.cli.runs import runs
from planvault.cli.scenarios import feedback, scenarios
from planvault.cli.service_tokens import tokens
from planvault.cli.show import demo
from planvault.cli.tools import tools

app = typer.Typer(
    name="planvault",
    cls=FriendlyGroup,
    help="A model may plan, never act. Brings the platform up, and talks to it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

app.command()(up)
app.command()(down)
app.command()(status)
app.command()(doctor)
app.command()(demo)
app.command()(migrate)
app.command("import")(import_spec)
app.command()(chat)
app.command()(runs)
app.command()(resolve)
app.command()(approve)
app.command()(reject)
app.add_typer(audit, name="audit")
app.add_typer(gdpr, name="gdpr")
app.add_typer(imports, name="imports")
app.add_typer(jobs, name="jobs")
keys.command()(rewrap)
app.add_typer(keys, name="keys")
app.add_typer(members, name="members")
app.add_typer(orgs, name="orgs")
app.add_typer(scenarios, name="scenarios")
app.add_typer(tokens, name="tokens")
app.add_typer(tools, name="tools")
app.command()(feedback)
app.command()(logs)

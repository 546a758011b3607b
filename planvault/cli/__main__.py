"""`python -m planvault.cli`: the same command line, whatever PATH says."""

from planvault.cli.main import app

app(prog_name="planvault")

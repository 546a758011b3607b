"""`migrate`: the schema, without the rest of the platform."""

from rich.console import Console

from planvault.cli.options import DataDirOption, data_dir


def migrate(data: DataDirOption = None) -> None:
    """Bring the database (DATABASE_URL, or the embedded one) up to this build's schema."""
    from cluster.schema import migrate_only
    from planvault.settings import Settings

    applied = migrate_only(data_dir(data), Settings().database_url)
    Console().print(f"Applied: {', '.join(applied)}." if applied else "The schema is up to date.")

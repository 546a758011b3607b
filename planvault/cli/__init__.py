"""The `planvault` command."""

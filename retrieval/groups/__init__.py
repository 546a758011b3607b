"""Tool groups: what a large catalog is divided into, so that a prompt is compared with groups before tools.

`routed` is what routing answers with, `router` asks Postgres, `measure`, `split` and `planning` decide (pure) what the
groups of an integration are, `upkeep` keeps them equal to the catalog.
"""

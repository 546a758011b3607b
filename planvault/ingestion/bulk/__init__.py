"""Imports of many documents as one job: what is done with them, apart from who does it (cluster.jobs does, on Ray)."""

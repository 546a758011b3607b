"""Pools, tenant scope, repositories and their named SQL."""

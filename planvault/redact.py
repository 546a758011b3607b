"""Knows every bound secret and removes it from what leaves the process."""

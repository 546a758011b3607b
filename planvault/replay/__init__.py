"""Replaying recorded runs: frozen and live. The door; its furniture comes with the diagnostics issue."""

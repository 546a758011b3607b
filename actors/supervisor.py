"""Keeps desired and real in step."""

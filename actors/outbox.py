"""Outgoing webhooks; the door."""

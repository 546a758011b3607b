"""Inbound triggers and lifecycle webhooks. The door; its furniture comes with the webhooks issue."""

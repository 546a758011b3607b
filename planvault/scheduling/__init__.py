"""Scheduled jobs and timers. The door; its furniture comes with the runtime issue."""

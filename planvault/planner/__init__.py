"""Prompts to validated plans: a model with a bounded repair loop, or the built-in planner without one."""

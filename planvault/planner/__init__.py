"""Prompts (versioned files), context building, repair loop and the built-in planner."""

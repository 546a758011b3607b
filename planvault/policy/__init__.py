"""Risk classes, plan approval in three layers, runtime approval rules and safety constraints. Pure."""

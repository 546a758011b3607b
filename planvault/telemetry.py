"""Structured logs; traces and metrics have their place here."""

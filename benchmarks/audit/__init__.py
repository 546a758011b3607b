"""What the audit chain costs: `python -m benchmarks.audit`."""

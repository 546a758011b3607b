"""`python -m benchmarks.retrieval DIR …`: how much of what a prompt needs its shortlist holds (docs/retrieval.md)."""

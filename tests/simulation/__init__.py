"""Random plans through the pure engine, with faults: every seed is one session's life, and replays identically.

python -m tests.simulation --seed 4711           one seed, told step by step
python -m tests.simulation --seeds 0:100000      many, silently; the first that fails is told
"""

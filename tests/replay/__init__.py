"""Golden journals: the record of an old run, folded through today's engine, gives the state that it gave then.

`python -m tests.replay.record` writes them anew. A journal that changes without a new schema version means that runs
under way during an upgrade would be misread.
"""

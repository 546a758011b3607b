"""Golden journals: the record of an old run, folded through today's engine, gives the state that it gave then.

`testdata/vN` holds what schema version N wrote. `python -m tests.replay.record` writes those of today's version; they
change while it is under development, and never once it was released: runs under way during an upgrade would be misread.
"""

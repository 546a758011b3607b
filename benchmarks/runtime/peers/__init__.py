"""The peers, each in a process of its own under a Python environment of its own: their dependencies are not ours.

Only the standard library and the peer are imported here; `environment` and `process`, on our side, start them.
"""

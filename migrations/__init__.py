"""Forward-only SQL, applied in name order under an advisory lock by `planvault.storage.migrate`.

A file is `NNNN_what.sql`. A released file never changes; its SHA-256 is recorded and checked.
"""

"""Session events in encrypted append-only files (`session-store.mode` file): the event store's second implementation.

One folder a session, one file (*segment*) an owner. What is committed is said by the database alone: a file's bytes
count up to the length that its row in `event_segments` names, whatever lies behind them.
"""

"""Owns shards of sessions: runs the durable runtime."""

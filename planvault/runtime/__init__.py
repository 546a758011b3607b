"""What makes the pure engine durable: commands inbox, leases, committer, effect loop."""

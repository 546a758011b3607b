"""Rate limits: what counts for what (rules), how much there is (buckets, meter), and who asks (gate, address)."""

"""The egress-guarded HTTP client that everything outbound uses."""

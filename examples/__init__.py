"""Sample services and clients."""

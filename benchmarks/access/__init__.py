"""What it costs to let a request in."""

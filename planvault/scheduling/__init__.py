"""When jobs recur, what may be scheduled, and how a due job is sent once."""

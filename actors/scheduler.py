"""Due timers; the door."""

"""What a durable step costs: the platform's overhead a tool step, through the real actor, beside its floor."""

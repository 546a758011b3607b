"""Who may call what: the written policy, and the gate in front of every route that holds it."""

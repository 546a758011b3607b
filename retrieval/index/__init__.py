"""Where candidates come from. `port` says what an index answers, `postgres` and `resident` answer it, `entries` makes
the rows that both hold."""

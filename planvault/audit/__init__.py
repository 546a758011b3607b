"""The audit log's chain, without a database: what is hashed, what is signed, and how both are verified."""

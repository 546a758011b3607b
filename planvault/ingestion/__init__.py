"""API descriptions → tool records: dereference, flatten, version, diff."""

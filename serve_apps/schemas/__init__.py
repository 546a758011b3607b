"""One module a resource: its wire types."""

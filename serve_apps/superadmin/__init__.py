"""The operators' API `/superadmin/v1`: organisations of the installation, on a port of its own (docs/identity.md)."""

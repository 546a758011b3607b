"""Principals, API keys, scopes, roles; OIDC has its place here."""

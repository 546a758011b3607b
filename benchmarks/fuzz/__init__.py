"""Fuzzes every route of the OpenAPI document with schemathesis, over real HTTP and a real Postgres."""

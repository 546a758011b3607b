"""Finds actors and Serve deployments by name."""

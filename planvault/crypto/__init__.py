"""Envelope encryption, data keys and the providers that wrap them."""

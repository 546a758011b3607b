"""Wraps the plain classes with ray.remote."""
